#include "gateway/config_key_tables.hpp"

#include <array>

namespace milepost {

namespace {

constexpr std::int64_t path_bytes_max = 4095;
constexpr std::int64_t mqtt_text_bytes_max = 0xFFFF;  // MQTT 5.0, 1.5.4
constexpr std::int64_t seconds_max = 0xFFFF;
constexpr std::int64_t expiry_s_max = 0x7FFF'FFFF;
constexpr std::int64_t reconnect_ms_max = 3'600'000;
constexpr std::int64_t unreleased_bytes_most = 1024 * keys::mebi;

constexpr std::array table{
    Key{"bridge",
        "name",
        KeyType::text,
        "\"plant\"",
        {1, 64},
        "",
        "Names it in status, metrics and log lines, and what is kept of its session: letters, "
        "digits,\n"
        "`.`, `_` and `-`. Required.",
        [](Config& config, const KeyValue& value) {
            config.bridges.back().name = keys::text(value);
        }},
    Key{"bridge",
        "url",
        KeyType::text,
        "\"mqtt://127.0.0.1:1884\"",
        {1, 512},
        "",
        "\"mqtt://host:1883\", or \"mqtts://host:8883\" with TLS. Required.",
        [](Config& config, const KeyValue& value) {
            config.bridges.back().url = keys::text(value);
        }},
    Key{"bridge",
        "filters",
        KeyType::list,
        "\"vehicles/#\"",
        {1, 65'535},
        "",
        "What to subscribe to, with commas or as an array. Each reading should match one of them "
        "only:\n"
        "a broker may send what matches two twice. Required.",
        [](Config& config, const KeyValue& value) {
            config.bridges.back().filters = keys::text(value);
        }},
    Key{"bridge",
        "qos",
        KeyType::integer,
        "2",
        {1, 2},
        "",
        "2: exactly once, of what is published with QoS 2. 1: never lost, doubled at times, "
        "faster.",
        [](Config& config, const KeyValue& value) {
            config.bridges.back().qos = keys::number<int>(value);
        }},
    Key{"bridge",
        "version",
        KeyType::text,
        "\"3.1.1\"",
        {},
        "3.1.1|5.0",
        "Of MQTT. 5.0 brings user properties, and limits that the broker keeps.",
        [](Config& config, const KeyValue& value) {
            config.bridges.back().is_v5 = keys::text(value) == "5.0";
        }},
    Key{"bridge",
        "client_id",
        KeyType::text,
        "\"milepost-plant\"",
        {1, mqtt_text_bytes_max},
        "",
        "Must not be anybody else's. Also the key of records whose route captures no vehicle id.\n"
        "Default: milepost-, the gateway_id, - and the name.",
        [](Config& config, const KeyValue& value) {
            config.bridges.back().client_id = keys::text(value);
        }},
    Key{"bridge",
        "user",
        KeyType::text,
        "\"\"",
        {0, mqtt_text_bytes_max},
        "",
        "",
        [](Config& config, const KeyValue& value) {
            config.bridges.back().user = keys::text(value);
        }},
    Key{"bridge",
        "password_file",
        KeyType::text,
        "\"\"",
        {0, path_bytes_max},
        "",
        "Holds the password, in one line. A relative path is below $CREDENTIALS_DIRECTORY, "
        "systemd's\n"
        "folder of secrets, if that is set.",
        [](Config& config, const KeyValue& value) {
            config.bridges.back().password_file = keys::text(value);
        }},
    Key{"bridge",
        "ca_file",
        KeyType::text,
        "\"\"",
        {0, path_bytes_max},
        "",
        "mqtts: who signs the broker's certificate, which must be of the host in url. Empty: whom "
        "the\n"
        "system trusts.",
        [](Config& config, const KeyValue& value) {
            config.bridges.back().ca_file = keys::text(value);
        }},
    Key{"bridge",
        "certificate_file",
        KeyType::text,
        "\"\"",
        {0, path_bytes_max},
        "",
        "mqtts: our own certificate, where the broker asks for one.",
        [](Config& config, const KeyValue& value) {
            config.bridges.back().certificate_file = keys::text(value);
        }},
    Key{"bridge",
        "key_file",
        KeyType::text,
        "\"\"",
        {0, path_bytes_max},
        "",
        "The certificate's key, without a passphrase.",
        [](Config& config, const KeyValue& value) {
            config.bridges.back().key_file = keys::text(value);
        }},
    Key{"bridge",
        "keep_alive",
        KeyType::seconds,
        "30",
        {5, seconds_max},
        "",
        "While the log takes nothing in the connection ends after 1.5 of them, and is made again.",
        [](Config& config, const KeyValue& value) {
            config.bridges.back().keep_alive = std::chrono::seconds{
                keys::number<std::int64_t>(value)};
        }},
    Key{"bridge",
        "connect_timeout",
        KeyType::seconds,
        "10",
        {1, 600},
        "",
        "",
        [](Config& config, const KeyValue& value) {
            config.bridges.back().connect_timeout = std::chrono::seconds{
                keys::number<std::int64_t>(value)};
        }},
    Key{"bridge",
        "session_expiry",
        KeyType::seconds,
        "\"7d\"",
        {60, expiry_s_max},
        "",
        "5.0: how long the broker keeps what it has for us while we are away.",
        [](Config& config, const KeyValue& value) {
            config.bridges.back().session_expiry = std::chrono::seconds{
                keys::number<std::int64_t>(value)};
        }},
    Key{"bridge",
        "max_in_flight",
        KeyType::integer,
        "20",
        {1, 1000},
        "",
        "5.0: publishes that the broker may have under way (Receive Maximum). 3.1.1: a setting of "
        "the\n"
        "broker's.",
        [](Config& config, const KeyValue& value) {
            config.bridges.back().in_flight_max = keys::number<std::uint16_t>(value);
        }},
    Key{"bridge",
        "unreleased_bytes_max",
        KeyType::bytes,
        "\"16MiB\"",
        {keys::mebi, unreleased_bytes_most},
        "",
        "Payloads that a broker may have us hold in memory by not releasing QoS 2 publishes. "
        "Above\n"
        "it the connection is closed and made again; nothing is lost.",
        [](Config& config, const KeyValue& value) {
            config.bridges.back().unreleased_bytes_max = keys::number<std::size_t>(value);
        }},
    Key{"bridge",
        "reconnect_min",
        KeyType::milliseconds,
        "\"1s\"",
        {10, reconnect_ms_max},
        "",
        "The wait after a failure; doubles up to reconnect_max, each time shortened by up to half "
        "at\n"
        "random.",
        [](Config& config, const KeyValue& value) {
            config.bridges.back().reconnect_min = std::chrono::milliseconds{
                keys::number<std::int64_t>(value)};
        }},
    Key{"bridge",
        "reconnect_max",
        KeyType::milliseconds,
        "\"60s\"",
        {10, reconnect_ms_max},
        "",
        "",
        [](Config& config, const KeyValue& value) {
            config.bridges.back().reconnect_max = std::chrono::milliseconds{
                keys::number<std::int64_t>(value)};
        }},
};

}  // namespace

std::span<const Key> bridge_keys() {
    return table;
}

}  // namespace milepost
