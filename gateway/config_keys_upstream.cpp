#include "gateway/config_key_tables.hpp"

#include <array>

namespace milepost {

namespace {

constexpr std::int64_t rate_bytes_max = 1'000'000'000'000;
constexpr std::int64_t rate_records_max = 1'000'000'000;

constexpr std::array table{
    Key{"upstream",
        "bootstrap_servers",
        KeyType::list,
        "",
        {1, 65'535},
        "",
        "\"host:port\", several with commas or as an array. Required in [upstream].",
        [](Config& config, const KeyValue& value) {
            config.upstream->bootstrap_servers = keys::text(value);
        }},
    Key{"upstream",
        "delivery",
        KeyType::text,
        "\"exactly_once\"",
        {},
        "at_least_once|exactly_once",
        "exactly_once: in Kafka transactions that carry the forward position with the records;\n"
        "readers must use isolation.level=read_committed. at_least_once: a crash may double some.",
        [](Config& config, const KeyValue& value) {
            config.upstream->delivery = keys::text(value) == "exactly_once"
                                            ? Delivery::exactly_once
                                            : Delivery::at_least_once;
        }},
    Key{"upstream",
        "compression",
        KeyType::text,
        "\"lz4\"",
        {},
        "none|gzip|snappy|lz4|zstd",
        "Of what is sent.",
        [](Config& config, const KeyValue& value) {
            config.upstream->compression = keys::text(value);
        }},
    Key{"upstream",
        "create_topics",
        KeyType::boolean,
        "false",
        {},
        "",
        "Makes topics upstream that are not there.",
        [](Config& config, const KeyValue& value) {
            config.upstream->create_topics = std::get<bool>(value);
        }},
    Key{"upstream",
        "producers",
        KeyType::integer,
        "1",
        {1, 2},
        "",
        "exactly_once: transactional producers that share out the partitions. On two cores\n"
        "2 drain a backlog no faster than 1. May change between runs.",
        [](Config& config, const KeyValue& value) {
            config.upstream->producers = keys::number<std::size_t>(value);
        }},
    Key{"upstream",
        "on_missing_position",
        KeyType::text,
        "\"local\"",
        {},
        "local|earliest|fail",
        "exactly_once: where to go on when Kafka has forgotten the position (offsets.retention of\n"
        "the brokers, 7 days by default): at the copy in meta.db, at the log's start, or not at "
        "all.\n"
        "Where Kafka was set back behind what it had: at Kafka's position, or with fail not at "
        "all.",
        [](Config& config, const KeyValue& value) {
            const auto policy = keys::text(value);
            config.upstream->on_missing_position = policy == "fail" ? MissingPosition::fail
                                                   : policy == "earliest"
                                                       ? MissingPosition::earliest
                                                       : MissingPosition::local;
        }},
    Key{"upstream",
        "position_first",
        KeyType::text,
        "\"auto\"",
        {},
        "auto|always|never",
        "exactly_once: whether a transaction sends its position before its records. auto: on "
        "round\n"
        "trips under 5 ms, where it is faster.",
        [](Config& config, const KeyValue& value) {
            const auto when = keys::text(value);
            config.upstream->position_first = when == "always"  ? PositionFirst::always
                                              : when == "never" ? PositionFirst::never
                                                                : PositionFirst::automatic;
        }},
    Key{"upstream",
        "rate_bytes_per_s",
        KeyType::bytes,
        "0",
        {0, rate_bytes_max},
        "",
        "The most that is sent a second: keys and values, before compression. A single record may\n"
        "be larger; it is waited for afterwards. 0: as much as the link takes.",
        [](Config& config, const KeyValue& value) {
            config.upstream->rate_bytes_per_s = keys::number<std::uint64_t>(value);
        }},
    Key{"upstream",
        "rate_records_per_s",
        KeyType::integer,
        "0",
        {0, rate_records_max},
        "",
        "The same in records.",
        [](Config& config, const KeyValue& value) {
            config.upstream->rate_records_per_s = keys::number<std::uint64_t>(value);
        }},
    Key{"upstream",
        "librdkafka",
        KeyType::properties,
        "",
        {},
        "",
        "Passed to librdkafka, except what would break a promise, which is refused.",
        [](Config& config, const KeyValue& value) {
            config.upstream->librdkafka = std::get<Properties>(value);
        }},
};

}  // namespace

std::span<const Key> upstream_keys() {
    return table;
}

}  // namespace milepost
