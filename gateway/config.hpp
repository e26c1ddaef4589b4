#pragma once

#include "gateway/ingest/route.hpp"
#include "storage/base/units.hpp"
#include "storage/log/log_config.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

// What the configuration file says. Plain values; what each key means and takes stands in the one
// table, config_keys.cpp.
namespace milepost {

struct ListenerConfig {
    std::string address = "127.0.0.1";
    std::uint16_t port = 1883;
    bool anonymous = false;     // who has no password or certificate is let in all the same
    std::string password_file;  // empty: none
    std::string certificates;   // comma-separated files; empty: plain
    std::string keys;           // as many
    std::string client_ca;      // empty: no client certificate is asked for
    std::string crl_file;
    bool client_certificate_required = true;  // where there is a client_ca
    bool tls_1_3_only = false;
    std::string user_from_certificate = "none";
    std::string acl_file;  // empty: everything is allowed
    bool client_id_is_user = false;
};

struct MqttConfig {
    std::vector<ListenerConfig> listeners;
    std::size_t packet_bytes_max = 256 * kib;
    std::size_t connections_max = 10'000;
    std::size_t connections_per_address_max = 0;  // 0: no limit
    std::size_t sessions_max = 100'000;
    std::size_t publish_memory_bytes_max = 64 * mib;  // of all sessions
    std::uint64_t messages_per_s_max = 0;             // a connection; 0: no limit
    std::uint64_t bytes_per_s_max = 0;
    std::chrono::seconds connect_timeout{10};
    std::chrono::seconds write_timeout{60};
    std::size_t in_flight_publishes_max = 256;  // a connection
    std::size_t in_flight_bytes_max = 256 * kib;
    std::chrono::seconds keep_alive_max{65'535};
    std::size_t topic_bytes_max = 512;
    std::size_t waiting_logins_max = 512;
    std::size_t remembered_logins_max = 20'000;
    std::size_t client_id_bytes_max = 256;
    std::chrono::seconds session_expiry_max{std::chrono::hours{24 * 7}};
    std::size_t subscriptions_max = 100;     // a session
    std::size_t queue_messages_max = 1'000;  // a session
    std::size_t queue_bytes_max = 1 * mib;
    std::size_t message_bytes_max = 64 * mib;  // all sessions, and retained messages
    std::size_t retained_messages_max = 10'000;
    std::size_t retained_bytes_max = 16 * mib;
};

// A broker that is there already; gateway/bridge.
struct BridgeConfig {
    std::string name;
    std::string url;
    std::string filters;  // with commas
    std::string client_id;
    int qos = 2;
    bool is_v5 = false;  // else 3.1.1
    std::string user;
    std::string password_file;
    std::string ca_file;
    std::string certificate_file;
    std::string key_file;
    std::chrono::seconds keep_alive{30};
    std::chrono::seconds connect_timeout{10};
    std::chrono::seconds session_expiry{std::chrono::hours{24 * 7}};
    std::uint16_t in_flight_max = 20;
    std::size_t unreleased_bytes_max = 16 * mib;
    std::chrono::milliseconds reconnect_min{1'000};
    std::chrono::milliseconds reconnect_max{60'000};
};

inline constexpr std::size_t bridges_max = 16;

struct AdminConfig {
    std::string address = "127.0.0.1";
    std::uint16_t port = 8080;
};

enum class Priority : std::uint8_t { high, normal, low };
enum class Delivery : std::uint8_t { at_least_once, exactly_once };

enum class MissingPosition : std::uint8_t { local, earliest, fail };
enum class PositionFirst : std::uint8_t { automatic, always, never };

struct UpstreamConfig {
    std::string bootstrap_servers;  // comma-separated host:port
    Delivery delivery = Delivery::exactly_once;
    std::string compression = "lz4";
    bool create_topics = false;
    std::size_t producers = 1;  // exactly_once: transactional ones
    MissingPosition on_missing_position = MissingPosition::local;
    PositionFirst position_first = PositionFirst::automatic;
    std::uint64_t rate_bytes_per_s = 0;  // 0: as much as the link takes
    std::uint64_t rate_records_per_s = 0;
    std::vector<std::pair<std::string, std::string>> librdkafka;  // passed through
};

struct TopicConfig {
    std::string name;
    storage::TopicRetention retention;
    std::optional<storage::Codec> codec;  // none: the log's
    bool forward = true;
    Priority priority = Priority::normal;
};

struct Config {
    std::string gateway_id;  // empty: `mp-` + the first 8 hex digits of the log id
    MqttConfig mqtt;
    std::vector<BridgeConfig> bridges;
    AdminConfig admin;
    std::vector<ingest::RouteSpec> routes;  // first match wins
    std::optional<UpstreamConfig> upstream;
    storage::LogConfig log;  // with data_dir
    // Also in log.retention, log.topic_codecs and log.local_topics.
    std::vector<TopicConfig> topics;
    std::uint64_t endurance_bytes = 0;  // what the disk may be written; 0: not known
    bool time_require_sync = true;
};

// One thing that is wrong. `line` 0: about the file as a whole.
struct ConfigError {
    std::string file;
    std::uint32_t line = 0;
    std::uint32_t column = 0;
    std::string what;

    [[nodiscard]] std::string text() const;  // `file:line:column: what`
};

struct LoadedConfig {
    Config config;                    // of use only if there are no errors
    std::vector<ConfigError> errors;  // in the order of the file
};

// Says why a librdkafka property may not be set with that delivery, or nullopt. Given by app:
// config does not know librdkafka.
using PropertyCheck = std::function<
    std::optional<std::string>(std::string_view name, std::string_view value, Delivery delivery)>;

// Reads and checks the file. Every semantic error at once; a TOML syntax error ends the file.
[[nodiscard]] LoadedConfig load_config(
    const std::filesystem::path& file,
    const PropertyCheck& check_property = {}
);
// The same from text; `name` is what errors call the file.
[[nodiscard]] LoadedConfig parse_config(
    std::string_view text,
    std::string_view name,
    const PropertyCheck& check_property = {}
);

}  // namespace milepost
