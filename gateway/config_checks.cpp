#include "gateway/config_checks.hpp"

#include "storage/log/dead_letters.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <map>
#include <set>

#include <arpa/inet.h>

namespace milepost {

namespace {

constexpr std::uint64_t ring_limit_share = 16;
constexpr std::uint64_t ring_record_share = 8;
constexpr std::size_t record_bytes_most = 1'000'000;
constexpr std::uint64_t ring_bytes_default = 64 * mib;

using Findings = std::vector<Finding>;

std::optional<std::size_t> number(std::string_view text) {
    std::size_t value = 0;
    const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (failed != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return value;
}

std::size_t count_of(std::string_view list) {
    return list.empty() ? 0 : 1 + static_cast<std::size_t>(std::ranges::count(list, ','));
}

void check_tls(const ListenerConfig& listener, const std::string& path, Findings& findings) {
    const bool is_tls = !listener.certificates.empty();
    if (count_of(listener.certificates) != count_of(listener.keys)) {
        findings.push_back(
            {path + ".key",
             fmt::format(
                 "mqtt.listener.key: {} keys for {} certificates",
                 count_of(listener.keys),
                 count_of(listener.certificates)
             )}
        );
    }
    if (!is_tls && !listener.client_ca.empty()) {
        findings.push_back(
            {path + ".client_ca",
             "mqtt.listener.client_ca: needs a certificate and a key of the "
             "listener's own"}
        );
    }
    if (listener.client_ca.empty() &&
        (!listener.crl_file.empty() || listener.user_from_certificate != "none")) {
        findings.push_back(
            {path + ".client_ca",
             "mqtt.listener.client_ca: must be given for crl_file and user_from_certificate"}
        );
    }
}

void check_listeners(const Config& config, Findings& findings) {
    std::set<std::pair<std::string, std::uint16_t>> taken;
    for (std::size_t i = 0; i < config.mqtt.listeners.size(); ++i) {
        const auto& listener = config.mqtt.listeners[i];
        const std::string path = fmt::format("mqtt.listener[{}]", i);
        const bool asks_nobody = !listener.anonymous && !asks_who_it_is(listener);
        if (!is_ip_address(listener.address)) {
            findings.push_back(
                {path + ".address",
                 fmt::format("mqtt.listener.address: `{}` is no IP address", listener.address)}
            );
        } else if (!is_loopback(listener.address) && asks_nobody) {
            findings.push_back(
                {path + ".address",
                 fmt::format(
                     "mqtt.listener.address: {} is not loopback and has neither password_file nor "
                     "client_ca; anonymous = true lets everybody in",
                     listener.address
                 )}
            );
        }
        check_tls(listener, path, findings);
        if (listener.port != 0 && !taken.emplace(listener.address, listener.port).second) {
            findings.push_back(
                {path + ".port", "mqtt.listener.port: two listeners have one address and port"}
            );
        }
    }
}

void check_admin(const Config& config, Findings& findings) {
    if (!is_ip_address(config.admin.address)) {
        findings.push_back(
            {"admin.address",
             fmt::format("admin.address: `{}` is no IP address", config.admin.address)}
        );
    }
    for (const auto& listener : config.mqtt.listeners) {
        if (listener.port == config.admin.port && listener.port != 0 &&
            listener.address == config.admin.address) {
            findings.push_back({"admin.port", "admin.port: an mqtt.listener has it already"});
        }
    }
}

void check_routes(const Config& config, Findings& findings) {
    std::map<std::string_view, std::int32_t> partitions;
    for (std::size_t i = 0; i < config.routes.size(); ++i) {
        const auto& route = config.routes[i];
        const std::string path = fmt::format("route[{}]", i);
        const auto compiled = ingest::Route::compile(route);
        if (const auto* wrong = std::get_if<std::vector<ingest::RouteProblem>>(&compiled)) {
            for (const auto& [key, what] : *wrong) {
                findings.push_back(
                    {fmt::format("{}.{}", path, key), fmt::format("route.{}: {}", key, what)}
                );
            }
        }
        if (storage::is_dead_letter_topic(route.topic)) {
            findings.push_back(
                {path + ".topic",
                 fmt::format(
                     "route.topic: `{}`: topics that end in {} are for records that Kafka refuses",
                     route.topic,
                     storage::dead_letter_suffix
                 )}
            );
        }
        const auto [first, is_new] = partitions.emplace(route.topic, route.partitions);
        if (!is_new && first->second != route.partitions) {
            findings.push_back(
                {path + ".partitions",
                 fmt::format(
                     "route.partitions: topic `{}` has {} in a route above and {} here",
                     route.topic,
                     first->second,
                     route.partitions
                 )}
            );
        }
    }
}

void check_topics(const Config& config, Findings& findings) {
    std::set<std::string_view> names;
    for (std::size_t i = 0; i < config.topics.size(); ++i) {
        if (names.insert(config.topics[i].name).second) continue;
        findings.push_back(
            {fmt::format("topic[{}].name", i),
             fmt::format("topic.name: `{}` has a [[topic]] above", config.topics[i].name)}
        );
    }
}

// One "host", "host:port", "[v6]:port"; a "PROTOCOL://" in front is librdkafka's and allowed.
bool is_bootstrap_server(std::string_view server) {
    if (const auto scheme = server.find("://"); scheme != std::string_view::npos) {
        server.remove_prefix(scheme + 3);
    }
    if (server.starts_with('[')) {
        const auto end = server.find(']');
        if (end == std::string_view::npos || end == 1) return false;
        server.remove_prefix(end + 1);
        if (server.empty()) return true;
        if (!server.starts_with(':')) return false;
        server = server.substr(1);
    } else {
        const auto colon = server.find(':');
        const auto host = server.substr(0, colon);
        if (host.empty() || host.find_first_of(" \t/") != std::string_view::npos) return false;
        if (colon == std::string_view::npos) return true;
        server.remove_prefix(colon + 1);
    }
    const auto port = number(server);
    return port && *port > 0 && *port <= 0xFFFF;
}

void check_upstream(const Config& config, const PropertyCheck& check_property, Findings& findings) {
    if (!config.upstream) return;
    const auto& upstream = *config.upstream;
    if (upstream.bootstrap_servers.empty()) {
        findings.push_back(
            {"upstream.bootstrap_servers",
             "upstream.bootstrap_servers: must name at least one broker; without [upstream] "
             "nothing is forwarded"}
        );
    }
    std::string_view rest = upstream.bootstrap_servers;
    while (!rest.empty()) {
        const auto comma = rest.find(',');
        const auto server = rest.substr(0, comma);
        rest = comma == std::string_view::npos ? "" : rest.substr(comma + 1);
        if (!is_bootstrap_server(server)) {
            findings.push_back(
                {"upstream.bootstrap_servers",
                 fmt::format("upstream.bootstrap_servers: `{}` is no host:port", server)}
            );
        }
    }
    if (!check_property) return;
    for (const auto& [name, value] : upstream.librdkafka) {
        if (auto reason = check_property(name, value, upstream.delivery)) {
            findings.push_back(
                {"upstream.librdkafka." + name,
                 fmt::format("upstream.librdkafka.{}: {}", name, *reason)}
            );
        }
    }
}

// It stands in `mp.id`, before a slash, and in names at the brokers, before a number.
void check_gateway_id(const Config& config, Findings& findings) {
    const auto is_allowed = [](unsigned char letter) {
        return (letter >= 'a' && letter <= 'z') || (letter >= 'A' && letter <= 'Z') ||
               (letter >= '0' && letter <= '9') || letter == '.' || letter == '_' || letter == '-';
    };
    if (std::ranges::all_of(config.gateway_id, is_allowed)) return;
    findings.push_back(
        {"gateway_id",
         fmt::format(
             "gateway_id: `{}` is not made of letters, digits, `.`, `_` and `-`",
             config.gateway_id
         )}
    );
}

void check_log(const Config& config, Findings& findings) {
    const auto& log = config.log;
    if (log.data_dir.empty()) {
        findings.push_back({"data_dir", "data_dir: must be given: the folder of the log"});
    }
    if (log.limit_bytes != 0 && log.limit_bytes < storage::log_limit_bytes_min) {
        findings.push_back(
            {"log.limit_bytes",
             fmt::format(
                 "log.limit_bytes: {} is under {}",
                 log.limit_bytes,
                 storage::log_limit_bytes_min
             )}
        );
        return;  // what follows from it would only repeat it
    }
    if (log.ring_bytes != 0 && log.ring_bytes < storage::ring_bytes_min) {
        findings.push_back(
            {"log.ring_bytes",
             fmt::format("log.ring_bytes: {} is under {}", log.ring_bytes, storage::ring_bytes_min)}
        );
        return;
    }
    if (log.ring_bytes != 0 && log.limit_bytes != 0 &&
        log.ring_bytes > log.limit_bytes / ring_limit_share) {
        findings.push_back(
            {"log.ring_bytes",
             fmt::format(
                 "log.ring_bytes: {} is over 1/{} of log.limit_bytes, {}",
                 log.ring_bytes,
                 ring_limit_share,
                 log.limit_bytes
             )}
        );
    }
    const auto record_max = record_bytes_max(log);
    if (config.mqtt.packet_bytes_max > record_max) {
        findings.push_back(
            {"mqtt.max_packet_bytes",
             fmt::format(
                 "mqtt.max_packet_bytes: {} is over the largest record of {} bytes, the smaller of "
                 "{} and 1/{} of log.ring_bytes",
                 config.mqtt.packet_bytes_max,
                 record_max,
                 record_bytes_most,
                 ring_record_share
             )}
        );
    }
}

}  // namespace

std::vector<Finding> check_config(const Config& config, const PropertyCheck& check_property) {
    Findings findings;
    check_gateway_id(config, findings);
    check_log(config, findings);
    check_listeners(config, findings);
    check_admin(config, findings);
    check_bridges(config, findings);
    check_routes(config, findings);
    check_topics(config, findings);
    check_upstream(config, check_property, findings);
    return findings;
}

std::size_t record_bytes_max(const storage::LogConfig& log) {
    std::uint64_t ring = log.ring_bytes;
    if (ring == 0) {
        ring = ring_bytes_default;
        if (log.limit_bytes != 0) ring = std::min(ring, log.limit_bytes / ring_limit_share);
    }
    ring = std::max(ring, storage::ring_bytes_min);
    return std::min<std::size_t>(record_bytes_most, ring / ring_record_share);
}

bool is_ip_address(std::string_view address) {
    const std::string text{address};
    std::array<unsigned char, sizeof(in6_addr)> bytes{};
    return ::inet_pton(AF_INET, text.c_str(), bytes.data()) == 1 ||
           ::inet_pton(AF_INET6, text.c_str(), bytes.data()) == 1;
}

bool asks_who_it_is(const ListenerConfig& listener) {
    return !listener.password_file.empty() || !listener.client_ca.empty();
}

bool is_loopback(std::string_view address) {
    return address == "::1" || (is_ip_address(address) && address.starts_with("127."));
}

}  // namespace milepost
