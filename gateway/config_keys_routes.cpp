#include "gateway/config_key_tables.hpp"

#include <array>

namespace milepost {

namespace {

constexpr std::int64_t retention_ms_max = std::int64_t{100} * 366 * 24 * 3600 * 1000;

constexpr std::array table{
    Key{"route",
        "filter",
        KeyType::text,
        "",
        {1, 512},
        "",
        "An MQTT topic filter. `{name}` is a `+` with a name. Required.",
        [](Config& config, const KeyValue& value) {
            config.routes.back().filter = keys::text(value);
        }},
    Key{"route",
        "topic",
        KeyType::text,
        "",
        {1, 249},
        "",
        "The Kafka topic, literally. Required.",
        [](Config& config, const KeyValue& value) {
            config.routes.back().topic = keys::text(value);
        }},
    Key{"route",
        "key",
        KeyType::text,
        "",
        {0, 512},
        "",
        "The record's key: text, `{name}`, or `{1}`, `{2}` … for the captures from the left.\n"
        "Default: `{vehicle_id}` if the filter captures it, else the client id.",
        [](Config& config, const KeyValue& value) {
            config.routes.back().key = keys::text(value);
        }},
    Key{"route",
        "partitions",
        KeyType::integer,
        "4",
        {1, 1024},
        "",
        "Of the topic; fixed when it is made.",
        [](Config& config, const KeyValue& value) {
            config.routes.back().partitions = keys::number<std::int32_t>(value);
        }},

    Key{"topic",
        "name",
        KeyType::text,
        "\"vehicle.telemetry\"",
        {1, 249},
        "",
        "The Kafka topic. Required.",
        [](Config& config, const KeyValue& value) {
            config.topics.back().name = keys::text(value);
        }},
    Key{"topic",
        "forward",
        KeyType::boolean,
        "true",
        {},
        "",
        "false: its readings stay here; the account says `kept`, and retention does not wait.",
        [](Config& config, const KeyValue& value) {
            config.topics.back().forward = std::get<bool>(value);
        }},
    Key{"topic",
        "priority",
        KeyType::text,
        "\"normal\"",
        {},
        "high|normal|low",
        "Of a link that is too slow for all, topics with a backlog get 16 : 4 : 1 parts. Within a\n"
        "partition order is never changed.",
        [](Config& config, const KeyValue& value) {
            const auto priority = keys::text(value);
            config.topics.back().priority = priority == "high"  ? Priority::high
                                            : priority == "low" ? Priority::low
                                                                : Priority::normal;
        }},
    Key{"topic",
        "retention_bytes",
        KeyType::bytes,
        "0",
        {0, keys::any_bytes},
        "",
        "Of each of its partitions, in whole segments, as Kafka's retention.bytes. 0: no limit.",
        [](Config& config, const KeyValue& value) {
            config.topics.back().retention.bytes = keys::number<std::uint64_t>(value);
        }},
    Key{"topic",
        "retention_ms",
        KeyType::milliseconds,
        "0",
        {0, retention_ms_max},
        "",
        "As Kafka's retention.ms; \"7d\" can be written. Ages count only while the clock can be\n"
        "believed: one that jumps deletes nothing. 0: no limit.",
        [](Config& config, const KeyValue& value) {
            config.topics.back().retention.age = std::chrono::milliseconds{
                keys::number<std::int64_t>(value)};
        }},
    Key{"topic",
        "compression",
        KeyType::text,
        "\"zstd\"",
        {},
        "none|lz4|zstd",
        "Of its segments from now on; what is there stays as it is. zstd is lz4 while the\n"
        "journal is over 3/4 full. Default: log.codec.",
        [](Config& config, const KeyValue& value) {
            config.topics.back().codec = keys::codec(value);
        }},
};

}  // namespace

std::span<const Key> route_keys() {
    return table;
}

}  // namespace milepost
