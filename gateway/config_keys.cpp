#include "gateway/config_keys.hpp"

#include <limits>

namespace milepost {

namespace {

constexpr std::int64_t kibi = 1024;
constexpr std::int64_t mebi = 1024 * kibi;
constexpr std::int64_t any_bytes = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t port_max = 0xFFFF;
constexpr std::int64_t mqtt_packet_bytes_max = 268'435'455 + 5;  // MQTT 5.0, 1.5.5
constexpr std::int64_t mqtt_text_bytes_max = 0xFFFF;             // MQTT 5.0, 1.5.4
constexpr std::int64_t path_bytes_max = 4095;
constexpr std::int64_t retention_ms_max = std::int64_t{100} * 366 * 24 * 3600 * 1000;

template <class T>
T number(const KeyValue& value) {
    return static_cast<T>(std::get<std::int64_t>(value));  // within the key's limits
}

const std::string& text(const KeyValue& value) {
    return std::get<std::string>(value);
}

constexpr std::array sections{
    Section{"", false, ""},
    Section{
        "mqtt.listener",
        true,
        "Where vehicles connect; as many as there are addresses. Off loopback a listener needs\n"
        "authentication, which is not served yet, or anonymous = true.",
        [](Config& config) {
            config.mqtt.listeners.emplace_back();
        }},
    Section{"mqtt", false, "Limits of the MQTT side.", nullptr},
    Section{"admin", false, "HTTP: /healthz, /readyz, /metrics, /api/v1/status.", nullptr},
    Section{
        "route",
        true,
        "Which Kafka topic a publish goes to; the first route that matches wins. Any [[route]]\n"
        "replaces the three shipped ones, which are these:",
        [](Config& config) {
            config.routes.emplace_back();
        }},
    Section{
        "topic",
        true,
        "How long a topic's readings are kept once they are forwarded (without [upstream]: at "
        "all).\n"
        "A topic that has none keeps them until the log needs the room.",
        [](Config& config) {
            config.topics.emplace_back();
        }},
    Section{
        "upstream",
        false,
        "The Kafka cluster that the log is forwarded to. Without it nothing is forwarded and\n"
        "nothing waits; added later, forwarding begins at the start of the log.",
        [](Config& config) {
            config.upstream.emplace();
        }},
    Section{"log", false, "The log on the disk.", nullptr},
    Section{"time", false, "", nullptr},
};

constexpr std::array keys{
    Key{"",
        "data_dir",
        KeyType::text,
        "",
        {1, path_bytes_max},
        "",
        "The folder that holds the log. Required.",
        [](Config& config, const KeyValue& value) {
            config.log.data_dir = text(value);
        }},
    Key{"",
        "gateway_id",
        KeyType::text,
        "",
        {1, 128},
        "",
        "Names this gateway upstream (mp.id, group.id). Default: mp- and the first 8 hex digits "
        "of\n"
        "the log's id.",
        [](Config& config, const KeyValue& value) {
            config.gateway_id = text(value);
        }},

    Key{"mqtt.listener",
        "address",
        KeyType::text,
        "\"127.0.0.1\"",
        {1, 64},
        "",
        "An IP address, \"0.0.0.0\" or \"::\" for all.",
        [](Config& config, const KeyValue& value) {
            config.mqtt.listeners.back().address = text(value);
        }},
    Key{"mqtt.listener",
        "port",
        KeyType::integer,
        "1883",
        {0, port_max},
        "",
        "0 takes a free one, which the log names.",
        [](Config& config, const KeyValue& value) {
            config.mqtt.listeners.back().port = number<std::uint16_t>(value);
        }},
    Key{"mqtt.listener",
        "anonymous",
        KeyType::boolean,
        "false",
        {},
        "",
        "Lets everybody in who can reach the address.",
        [](Config& config, const KeyValue& value) {
            config.mqtt.listeners.back().anonymous = std::get<bool>(value);
        }},

    Key{"mqtt",
        "max_packet_bytes",
        KeyType::bytes,
        "\"256KiB\"",
        {128, mqtt_packet_bytes_max},
        "",
        "The largest MQTT packet. Not over the largest record: the smaller of 1,000,000 and 1/8 "
        "of\n"
        "log.ring_bytes; the default follows a smaller ring down.",
        [](Config& config, const KeyValue& value) {
            config.mqtt.packet_bytes_max = number<std::size_t>(value);
        }},
    Key{"mqtt",
        "max_connections",
        KeyType::integer,
        "10000",
        {1, 1'000'000},
        "",
        "At the same time, all listeners together. The default suits 512 MiB of memory.",
        [](Config& config, const KeyValue& value) {
            config.mqtt.connections_max = number<std::size_t>(value);
        }},
    Key{"mqtt",
        "in_flight_publishes",
        KeyType::integer,
        "256",
        {1, 0xFFFF},
        "",
        "Publishes that one connection may have unacknowledged before its socket is not read.",
        [](Config& config, const KeyValue& value) {
            config.mqtt.in_flight_publishes_max = number<std::size_t>(value);
        }},
    Key{"mqtt",
        "in_flight_bytes",
        KeyType::bytes,
        "\"256KiB\"",
        {128, 1024 * mebi},
        "",
        "The same in bytes.",
        [](Config& config, const KeyValue& value) {
            config.mqtt.in_flight_bytes_max = number<std::size_t>(value);
        }},
    Key{"mqtt",
        "keep_alive_max",
        KeyType::seconds,
        "65535",
        {1, 0xFFFF},
        "",
        "A 5.0 client that asks for more, or for none, gets this one (Server Keep Alive).\n"
        "65535: whatever the client asks for.",
        [](Config& config, const KeyValue& value) {
            config.mqtt.keep_alive_max = std::chrono::seconds{number<std::int64_t>(value)};
        }},
    Key{"mqtt",
        "max_topic_bytes",
        KeyType::integer,
        "512",
        {1, mqtt_text_bytes_max},
        "",
        "The longest MQTT topic.",
        [](Config& config, const KeyValue& value) {
            config.mqtt.topic_bytes_max = number<std::size_t>(value);
        }},
    Key{"mqtt",
        "max_client_id_bytes",
        KeyType::integer,
        "256",
        {23, mqtt_text_bytes_max},
        "",
        "The longest client id.",
        [](Config& config, const KeyValue& value) {
            config.mqtt.client_id_bytes_max = number<std::size_t>(value);
        }},
    Key{"mqtt",
        "session_expiry_max",
        KeyType::seconds,
        "\"7d\"",
        {0, 0xFFFFFFFE},
        "",
        "How long a session outlives its connection at most.",
        [](Config& config, const KeyValue& value) {
            config.mqtt.session_expiry_max = std::chrono::seconds{number<std::int64_t>(value)};
        }},

    Key{"admin",
        "address",
        KeyType::text,
        "\"127.0.0.1\"",
        {1, 64},
        "",
        "There is no authentication here: whoever reaches it reads everything.",
        [](Config& config, const KeyValue& value) {
            config.admin.address = text(value);
        }},
    Key{"admin",
        "port",
        KeyType::integer,
        "8080",
        {0, port_max},
        "",
        "",
        [](Config& config, const KeyValue& value) {
            config.admin.port = number<std::uint16_t>(value);
        }},

    Key{"route",
        "filter",
        KeyType::text,
        "",
        {1, 512},
        "",
        "An MQTT topic filter. `{name}` is a `+` with a name. Required.",
        [](Config& config, const KeyValue& value) {
            config.routes.back().filter = text(value);
        }},
    Key{"route",
        "topic",
        KeyType::text,
        "",
        {1, 249},
        "",
        "The Kafka topic, literally. Required.",
        [](Config& config, const KeyValue& value) {
            config.routes.back().topic = text(value);
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
            config.routes.back().key = text(value);
        }},
    Key{"route",
        "partitions",
        KeyType::integer,
        "4",
        {1, 1024},
        "",
        "Of the topic; fixed when it is made.",
        [](Config& config, const KeyValue& value) {
            config.routes.back().partitions = number<std::int32_t>(value);
        }},

    Key{"topic",
        "name",
        KeyType::text,
        "\"vehicle.telemetry\"",
        {1, 249},
        "",
        "The Kafka topic. Required.",
        [](Config& config, const KeyValue& value) {
            config.topics.back().name = text(value);
        }},
    Key{"topic",
        "retention_bytes",
        KeyType::bytes,
        "0",
        {0, any_bytes},
        "",
        "Of each of its partitions, in whole segments, as Kafka's retention.bytes. 0: no limit.",
        [](Config& config, const KeyValue& value) {
            config.topics.back().retention.bytes = number<std::uint64_t>(value);
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
                number<std::int64_t>(value)};
        }},

    Key{"upstream",
        "bootstrap_servers",
        KeyType::list,
        "",
        {1, 65'535},
        "",
        "\"host:port\", several with commas or as an array. Required in [upstream].",
        [](Config& config, const KeyValue& value) {
            config.upstream->bootstrap_servers = text(value);
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
            config.upstream->delivery = text(value) == "exactly_once" ? Delivery::exactly_once
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
            config.upstream->compression = text(value);
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
        "exactly_once: transactional producers that share out the partitions; 2 drain a backlog\n"
        "faster on fast links. May change between runs.",
        [](Config& config, const KeyValue& value) {
            config.upstream->producers = number<std::size_t>(value);
        }},
    Key{"upstream",
        "on_missing_position",
        KeyType::text,
        "\"local\"",
        {},
        "local|earliest|fail",
        "exactly_once: where to go on when Kafka has forgotten the position (offsets.retention of\n"
        "the brokers, 7 days by default): at the copy in meta.db, at the log's start, or not at "
        "all.",
        [](Config& config, const KeyValue& value) {
            const auto policy = text(value);
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
            const auto when = text(value);
            config.upstream->position_first = when == "always"  ? PositionFirst::always
                                              : when == "never" ? PositionFirst::never
                                                                : PositionFirst::automatic;
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

    Key{"log",
        "limit_bytes",
        KeyType::bytes,
        "0",
        {0, any_bytes},
        "",
        "The most that the log takes, at least 4 MiB. 0: 80 % of its file system, less the "
        "reserve.",
        [](Config& config, const KeyValue& value) {
            config.log.limit_bytes = number<std::uint64_t>(value);
        }},
    Key{"log",
        "ring_bytes",
        KeyType::bytes,
        "0",
        {0, 16 * 1024 * mebi},
        "",
        "Of the journal, at least 256 KiB, not over 1/16 of limit_bytes. 0: 64 MiB, 16 MiB under\n"
        "1 GiB of memory. Fixed when the log is made.",
        [](Config& config, const KeyValue& value) {
            config.log.ring_bytes = number<std::uint64_t>(value);
        }},
    Key{"log",
        "full",
        KeyType::text,
        "\"block\"",
        {},
        "block|drop_oldest",
        "What happens when the log is full of what is not forwarded: no reading is taken until\n"
        "there is room, or the oldest ones are lost, which the gap ledger and the account say.",
        [](Config& config, const KeyValue& value) {
            config.log.full = text(value) == "block" ? storage::FullPolicy::block
                                                     : storage::FullPolicy::drop_oldest;
        }},
    Key{"log",
        "sync",
        KeyType::text,
        "\"fdatasync\"",
        {},
        "fdatasync|dsync",
        "How a group is made durable; dsync is O_DIRECT with RWF_DSYNC.",
        [](Config& config, const KeyValue& value) {
            config.log.sync = text(value) == "dsync" ? storage::SyncMethod::dsync
                                                     : storage::SyncMethod::fdatasync;
        }},
    Key{"log",
        "commit_interval_min",
        KeyType::milliseconds,
        "0",
        {0, 10'000},
        "",
        "The least time between two syncs: trades latency for flash wear.",
        [](Config& config, const KeyValue& value) {
            config.log.commit_interval_min = std::chrono::milliseconds{number<std::int64_t>(value)};
        }},
    Key{"log",
        "endurance_bytes",
        KeyType::bytes,
        "0",
        {0, any_bytes},
        "",
        "What the disk may be written in its life, by its maker (TBW): `milepost status` then "
        "says\n"
        "how long that lasts. 0: not known.",
        [](Config& config, const KeyValue& value) {
            config.endurance_bytes = number<std::uint64_t>(value);
        }},
    Key{"log",
        "codec",
        KeyType::text,
        "\"zstd\"",
        {},
        "none|lz4|zstd",
        "Of the segments.",
        [](Config& config, const KeyValue& value) {
            config.log.codec = text(value) == "none"  ? storage::Codec::none
                               : text(value) == "lz4" ? storage::Codec::lz4
                                                      : storage::Codec::zstd;
        }},
    Key{"log",
        "committer",
        KeyType::text,
        "\"auto\"",
        {},
        "auto|inline|own",
        "Which thread syncs: the network's while syncs are quick, or one of its own.",
        [](Config& config, const KeyValue& value) {
            config.log.committer = text(value) == "inline" ? storage::CommitterThread::always_inline
                                   : text(value) == "own"  ? storage::CommitterThread::always_own
                                                           : storage::CommitterThread::automatic;
        }},

    Key{"time",
        "require_sync",
        KeyType::boolean,
        "true",
        {},
        "",
        "Marks readings mp.clock=unsynced until the system's clock is synchronised.",
        [](Config& config, const KeyValue& value) {
            config.time_require_sync = std::get<bool>(value);
        }},
};

}  // namespace

std::span<const Section> config_sections() {
    return sections;
}

std::span<const Key> config_keys() {
    return keys;
}

const Key* find_key(std::string_view section, std::string_view name) {
    for (const auto& key : keys) {
        if (key.section == section && key.name == name) return &key;
    }
    return nullptr;
}

const Section* find_section(std::string_view name) {
    for (const auto& section : sections) {
        if (section.name == name) return &section;
    }
    return nullptr;
}

}  // namespace milepost
