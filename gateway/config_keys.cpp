#include "gateway/config_keys.hpp"

#include "gateway/config_key_tables.hpp"

#include <array>
#include <vector>

namespace milepost {

namespace {

constexpr std::int64_t path_bytes_max = 4095;

constexpr std::array sections{
    Section{"", false, ""},
    Section{
        "mqtt.listener",
        true,
        "Where vehicles connect; as many as there are addresses. Off loopback a listener needs\n"
        "a password_file, a client_ca or anonymous = true.",
        [](Config& config) {
            config.mqtt.listeners.emplace_back();
        }},
    Section{"mqtt", false, "Limits of the MQTT side.", nullptr},
    Section{"admin", false, "HTTP: /healthz, /readyz, /metrics, /api/v1/status.", nullptr},
    Section{
        "bridge",
        true,
        "A second door: a broker that is there already (Mosquitto, EMQX, ...), subscribed to with "
        "a\n"
        "session that it keeps. README, \"A broker in front\", says what it can lose.",
        [](Config& config) {
            config.bridges.emplace_back();
        }},
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
        "A topic's own rules: how long its readings are kept once they are forwarded (without\n"
        "[upstream]: at all), and how they are compressed. A topic that has none keeps them until\n"
        "the log needs the room.",
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

constexpr std::array base_keys{
    Key{"",
        "data_dir",
        KeyType::text,
        "",
        {1, path_bytes_max},
        "",
        "The folder that holds the log. Required.",
        [](Config& config, const KeyValue& value) {
            config.log.data_dir = keys::text(value);
        }},
    Key{"",
        "gateway_id",
        KeyType::text,
        "",
        {1, 128},
        "",
        "Names this gateway upstream (mp.id, group.id); each has its own. Letters, digits, ., _ "
        "and "
        "-.\n"
        "Default: mp- and the first 8 hex digits of the log's id.",
        [](Config& config, const KeyValue& value) {
            config.gateway_id = keys::text(value);
        }},
};

// In the order of packaging/milepost.toml.
std::vector<Key> all_keys() {
    std::vector<Key> all{base_keys.begin(), base_keys.end()};
    for (const auto part :
         {mqtt_keys(), bridge_keys(), route_keys(), upstream_keys(), log_keys()}) {
        all.insert(all.end(), part.begin(), part.end());
    }
    return all;
}

}  // namespace

std::span<const Section> config_sections() {
    return sections;
}

std::span<const Key> config_keys() {
    static const auto keys = all_keys();
    return keys;
}

const Key* find_key(std::string_view section, std::string_view name) {
    for (const auto& key : config_keys()) {
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
