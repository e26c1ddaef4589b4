#include "gateway/config_keys.hpp"

#include <fmt/core.h>

namespace milepost {

namespace {

void append_comment(std::string& to, std::string_view text) {
    while (!text.empty()) {
        const auto end = text.find('\n');
        to += fmt::format("# {}\n", text.substr(0, end));
        text = end == std::string_view::npos ? "" : text.substr(end + 1);
    }
}

void append_key(std::string& to, const Key& key) {
    append_comment(to, key.help);
    if (!key.choices.empty()) append_comment(to, fmt::format("One of {}.", key.choices));
    if (key.section.empty() && key.name == "data_dir") {
        to += "data_dir = \"/var/lib/milepost\"\n";
    } else if (key.name == "bootstrap_servers") {
        to += "#bootstrap_servers = \"kafka.example:9092\"\n";
    } else if (key.type == KeyType::properties) {
        to += "#[upstream.librdkafka]\n#\"socket.keepalive.enable\" = true\n";
    } else if (key.name == "gateway_id") {
        to += "#gateway_id = \"mp-00000000\"\n";
    } else {
        to += fmt::format("#{} = {}\n", key.name, key.fallback);
    }
}

void append_routes(std::string& to) {
    for (const auto& key : config_keys()) {
        if (key.section == "route") append_comment(to, fmt::format("{}: {}", key.name, key.help));
    }
    for (const auto& route : ingest::shipped_routes()) {
        to += fmt::format(
            "#[[route]]\n#filter = \"{}\"\n#topic = \"{}\"\n#partitions = {}\n",
            route.filter,
            route.topic,
            route.partitions
        );
    }
}

}  // namespace

std::string describe_config() {
    std::string text =
        "# Milepost's configuration: every key with its default. `milepostd --config FILE\n"
        "# --check-config` says what is wrong with a file. Bytes may be written as \"64MiB\",\n"
        "# times as \"20ms\", \"10s\", \"5min\", \"1h\" or \"7d\".\n";
    for (const auto& section : config_sections()) {
        text += '\n';
        append_comment(text, section.help);
        if (section.name == "route") {
            append_routes(text);
            continue;
        }
        if (!section.name.empty()) {
            const bool optional = section.begin != nullptr;
            const std::string_view brackets = section.repeated ? "[[]]" : "[]";
            const auto half = brackets.size() / 2;
            text += fmt::format(
                "{}{}{}{}\n",
                optional ? "#" : "",
                brackets.substr(0, half),
                section.name,
                brackets.substr(half)
            );
        }
        for (const auto& key : config_keys()) {
            if (key.section == section.name) append_key(text, key);
        }
    }
    return text;
}

}  // namespace milepost
