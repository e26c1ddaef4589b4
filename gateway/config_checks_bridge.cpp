#include "gateway/config_checks.hpp"
#include "gateway/mqtt/topic_filter.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <set>

namespace milepost {

namespace {

constexpr std::string_view name_characters =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";

bool is_port(std::string_view text) {
    std::uint16_t port = 0;
    const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), port);
    return failed == std::errc{} && end == text.data() + text.size() && port != 0;
}

// mqtt://host:port or mqtts://host:port, an IPv6 address in brackets.
bool is_broker_url(std::string_view url) {
    if (url.starts_with("mqtts://")) {
        url.remove_prefix(8);
    } else if (url.starts_with("mqtt://")) {
        url.remove_prefix(7);
    } else {
        return false;
    }
    const auto colon = url.rfind(':');
    if (colon == std::string_view::npos || !is_port(url.substr(colon + 1))) return false;
    std::string_view host = url.substr(0, colon);
    if (host.starts_with('[') && host.ends_with(']')) {
        host = host.substr(1, host.size() - 2);
        return is_ip_address(host) && host.find(':') != std::string_view::npos;
    }
    const auto is_odd = [](char c) {
        const bool is_digit_or_letter = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
                                        (c >= 'A' && c <= 'Z');
        return !is_digit_or_letter && c != '.' && c != '-' && c != '_';
    };
    return !host.empty() && std::ranges::none_of(host, is_odd);
}

bool is_filter(std::string_view filter) {
    return mqtt::is_shared(filter) ? mqtt::is_shared_topic_filter(filter)
                                   : mqtt::is_topic_filter(filter);
}

class BridgeCheck {
public:
    BridgeCheck(const BridgeConfig& bridge, std::size_t index, std::vector<Finding>& findings)
        : bridge_(&bridge)
        , path_(fmt::format("bridge[{}]", index))
        , findings_(&findings) {}

    void run() {
        check_name();
        if (!is_broker_url(bridge_->url)) {
            find(
                "url",
                fmt::format("`{}` is no mqtt://host:port or mqtts://host:port", bridge_->url)
            );
        }
        check_filters();
        check_secrets();
        if (bridge_->reconnect_min > bridge_->reconnect_max) {
            find("reconnect_min", "is over reconnect_max");
        }
    }

    void find(std::string_view key, std::string_view what) {
        findings_->push_back(
            {fmt::format("{}.{}", path_, key), fmt::format("bridge.{}: {}", key, what)}
        );
    }

private:
    void check_name() {
        if (bridge_->name.empty()) {
            find("name", "must be given");
        } else if (bridge_->name.find_first_not_of(name_characters) != std::string::npos) {
            find("name", fmt::format("`{}`: only letters, digits, `.`, `_`, `-`", bridge_->name));
        }
    }

    void check_filters() {
        if (bridge_->filters.empty()) find("filters", "must name at least one");
        std::set<std::string> seen;
        for (const auto& filter : split_list(bridge_->filters)) {
            if (!is_filter(filter)) {
                find("filters", fmt::format("`{}` is no MQTT topic filter", filter));
            } else if (!seen.insert(filter).second) {
                find("filters", fmt::format("`{}` is there twice", filter));
            }
        }
    }

    void check_secrets() {
        if (!bridge_->password_file.empty() && bridge_->user.empty()) {
            find("user", "must be given with password_file");
        }
        if (bridge_->certificate_file.empty() != bridge_->key_file.empty()) {
            find("key_file", "certificate_file and key_file go together");
        }
        const bool has_tls = !bridge_->ca_file.empty() || !bridge_->certificate_file.empty();
        if (has_tls && !bridge_->url.starts_with("mqtts://")) {
            find("url", "ca_file and certificate_file are for mqtts://");
        }
    }

    const BridgeConfig* bridge_;
    std::string path_;
    std::vector<Finding>* findings_;
};

}  // namespace

std::vector<std::string> split_list(std::string_view list) {
    std::vector<std::string> entries;
    while (!list.empty()) {
        const auto comma = list.find(',');
        entries.emplace_back(list.substr(0, comma));
        list = comma == std::string_view::npos ? "" : list.substr(comma + 1);
    }
    return entries;
}

void check_bridges(const Config& config, std::vector<Finding>& findings) {
    std::set<std::string_view> names;
    for (std::size_t i = 0; i < config.bridges.size(); ++i) {
        BridgeCheck check{config.bridges[i], i, findings};
        check.run();
        if (!names.insert(config.bridges[i].name).second) {
            check.find("name", fmt::format("`{}` has a [[bridge]] above", config.bridges[i].name));
        }
        if (i == bridges_max) check.find("name", fmt::format("at most {} bridges", bridges_max));
    }
}

}  // namespace milepost
