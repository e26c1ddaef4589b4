#include "gateway/config.hpp"

#include "gateway/config_checks.hpp"
#include "gateway/config_keys.hpp"
#include "gateway/config_units.hpp"

#include <fmt/core.h>
#include <toml++/toml.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <map>

namespace milepost {

namespace {

constexpr std::size_t file_bytes_max = mib;

std::string_view want_of(KeyType type) {
    switch (type) {
        case KeyType::boolean: return "true or false";
        case KeyType::integer: return "an integer";
        case KeyType::bytes: return "bytes: an integer, or a text such as \"64MiB\"";
        case KeyType::milliseconds: return "a time: milliseconds, or a text such as \"20ms\"";
        case KeyType::seconds: return "a time: seconds, or a text such as \"10s\"";
        case KeyType::text: return "a text";
        case KeyType::list: return "a text, or an array of texts";
        case KeyType::properties: return "a table";
    }
    return "";
}

std::string_view name_of(toml::node_type type) {
    switch (type) {
        case toml::node_type::none: return "nothing";
        case toml::node_type::table: return "a table";
        case toml::node_type::array: return "an array";
        case toml::node_type::string: return "a text";
        case toml::node_type::integer: return "an integer";
        case toml::node_type::floating_point: return "a number with a fraction";
        case toml::node_type::boolean: return "a boolean";
        case toml::node_type::date:
        case toml::node_type::time:
        case toml::node_type::date_time: return "a date or time";
    }
    return "";
}

std::optional<std::int64_t> to_number(const toml::node& node, KeyType type) {
    if (const auto* integer = node.as_integer()) return integer->get();
    const auto* written = node.as_string();
    if (written == nullptr || type == KeyType::integer) return std::nullopt;
    if (type == KeyType::bytes) return parse_bytes(written->get());
    const auto value = parse_milliseconds(written->get());
    if (!value || type == KeyType::milliseconds) return value;
    if (*value % 1000 != 0) return std::nullopt;
    return *value / 1000;
}

std::optional<std::string> to_list(const toml::node& node) {
    if (const auto* written = node.as_string()) return written->get();
    const auto* array = node.as_array();
    if (array == nullptr) return std::nullopt;
    std::string joined;
    for (const auto& element : *array) {
        const auto* written = element.as_string();
        if (written == nullptr) return std::nullopt;
        if (!joined.empty()) joined += ',';
        joined += written->get();
    }
    return joined;
}

std::optional<std::string> to_scalar(const toml::node& node) {
    if (const auto* written = node.as_string()) return written->get();
    if (const auto* integer = node.as_integer()) return fmt::format("{}", integer->get());
    if (const auto* number = node.as_floating_point()) return fmt::format("{}", number->get());
    if (const auto* boolean = node.as_boolean()) return boolean->get() ? "true" : "false";
    return std::nullopt;
}

// Walks the parsed file along the table of keys; collects errors and where every key stands.
class Reader {
public:
    Reader(std::string_view file, LoadedConfig& loaded)
        : file_(file)
        , loaded_(loaded) {}

    void read(const toml::table& root) {
        read_table(root, "", "");
        auto& config = loaded_.config;
        if (config.routes.empty()) config.routes = ingest::shipped_routes();
        for (const auto& topic : config.topics) {
            config.log.retention[topic.name] = topic.retention;
            if (!topic.forward) config.log.local_topics.insert(topic.name);
            if (topic.codec) config.log.topic_codecs[topic.name] = *topic.codec;
        }
        if (config.mqtt.listeners.empty()) config.mqtt.listeners.emplace_back();
        if (!places_.contains("mqtt.max_packet_bytes")) {
            const auto record_max = record_bytes_max(config.log);
            config.mqtt.packet_bytes_max = std::min(config.mqtt.packet_bytes_max, record_max);
        }
    }

    void add(const Finding& finding) {
        // The place of the key itself, else of the nearest table around it that the file has.
        std::string path = finding.path;
        while (!places_.contains(path)) {
            const auto dot = path.rfind('.');
            if (dot == std::string::npos) {
                complain({1, 1}, finding.what);
                return;
            }
            path.resize(dot);
        }
        if (!broken_.contains(finding.path)) complain(places_.at(path), finding.what);
    }

    void complain(toml::source_position at, std::string what) {
        loaded_.errors.push_back({file_, at.line, at.column, std::move(what)});
    }

private:
    // `section` is the name in the table of keys, `path` the same with numbers of elements.
    void read_table(const toml::table& table, std::string_view section, const std::string& path) {
        for (const auto& [key, node] : table) {
            const std::string_view name = key.str();
            const std::string in_section = section.empty() ? std::string{name}
                                                           : fmt::format("{}.{}", section, name);
            const std::string in_path = path.empty() ? std::string{name}
                                                     : fmt::format("{}.{}", path, name);
            places_[in_path] = key.source().begin;
            if (const Key* known = find_key(section, name)) {
                read_key(*known, node, in_path);
            } else if (const Section* inner = find_section(in_section); inner && !name.empty()) {
                read_section(*inner, node, in_path);
            } else {
                complain(key.source().begin, fmt::format("{}: unknown key", in_section));
            }
        }
        for (const auto& [owner, name] : required) {
            if (owner == section && !table.contains(name)) {
                broken_.insert_or_assign(fmt::format("{}.{}", path, name), true);
                complain(table.source().begin, fmt::format("{}.{}: must be given", section, name));
            }
        }
    }

    void read_section(const Section& section, const toml::node& node, const std::string& path) {
        if (section.repeated) {
            const auto* elements = node.as_array();
            if (elements == nullptr || (!elements->empty() && !elements->is_array_of_tables())) {
                complain(
                    node.source().begin,
                    fmt::format("{0}: want [[{0}]], got {1}", section.name, name_of(node.type()))
                );
                return;
            }
            for (std::size_t i = 0; i < elements->size(); ++i) {
                section.begin(loaded_.config);
                const std::string element = fmt::format("{}[{}]", path, i);
                places_[element] = (*elements)[i].source().begin;
                read_table(*(*elements)[i].as_table(), section.name, element);
            }
            return;
        }
        if (const auto* table = node.as_table()) {
            if (section.begin != nullptr) section.begin(loaded_.config);
            read_table(*table, section.name, path);
            return;
        }
        complain(
            node.source().begin,
            fmt::format("{0}: want [{0}], got {1}", section.name, name_of(node.type()))
        );
    }

    void read_key(const Key& key, const toml::node& node, const std::string& path) {
        places_[path] = node.source().begin;
        if (auto value = to_value(key, node, path)) {
            key.set(loaded_.config, *value);
        } else {
            broken_.insert_or_assign(path, true);
        }
    }

    std::optional<KeyValue> to_value(
        const Key& key,
        const toml::node& node,
        const std::string& path
    ) {
        switch (key.type) {
            case KeyType::boolean:
                if (const auto* boolean = node.as_boolean()) return KeyValue{boolean->get()};
                break;
            case KeyType::integer:
            case KeyType::bytes:
            case KeyType::milliseconds:
            case KeyType::seconds:
                if (const auto number = to_number(node, key.type)) {
                    return check_number(key, node, *number);
                }
                break;
            case KeyType::text:
                if (const auto* written = node.as_string()) {
                    return check_text(key, node, written->get());
                }
                break;
            case KeyType::list:
                if (auto joined = to_list(node)) return KeyValue{std::move(*joined)};
                break;
            case KeyType::properties:
                if (const auto* table = node.as_table()) {
                    return KeyValue{read_properties(*table, path, "")};
                }
                break;
        }
        complain(
            node.source().begin,
            fmt::format("{}: want {}, got {}", full_name(key), want_of(key.type), shown(node))
        );
        return std::nullopt;
    }

    std::optional<KeyValue> check_number(
        const Key& key,
        const toml::node& node,
        std::int64_t number
    ) {
        if (number >= key.limits.min && number <= key.limits.max) return KeyValue{number};
        complain(
            node.source().begin,
            fmt::format(
                "{}: {} is outside {} to {}",
                full_name(key),
                number,
                key.limits.min,
                key.limits.max
            )
        );
        return std::nullopt;
    }

    std::optional<KeyValue> check_text(
        const Key& key,
        const toml::node& node,
        const std::string& written
    ) {
        if (!key.choices.empty()) {
            std::string_view rest = key.choices;
            while (!rest.empty()) {
                const auto bar = rest.find('|');
                if (rest.substr(0, bar) == written) return KeyValue{written};
                rest = bar == std::string_view::npos ? "" : rest.substr(bar + 1);
            }
            complain(
                node.source().begin,
                fmt::format("{}: \"{}\" is none of {}", full_name(key), written, key.choices)
            );
            return std::nullopt;
        }
        const auto length = static_cast<std::int64_t>(written.size());
        if (length >= key.limits.min && length <= key.limits.max) return KeyValue{written};
        complain(
            node.source().begin,
            fmt::format(
                "{}: {} bytes long, want {} to {}",
                full_name(key),
                length,
                key.limits.min,
                key.limits.max
            )
        );
        return std::nullopt;
    }

    // `socket.keepalive.enable = true` without quotes is a table in a table in TOML: the same.
    Properties read_properties(
        const toml::table& table,
        const std::string& path,
        const std::string& prefix
    ) {
        Properties properties;
        for (const auto& [key, node] : table) {
            const std::string name = prefix + std::string{key.str()};
            places_[path + "." + name] = key.source().begin;
            if (const auto* inner = node.as_table()) {
                auto deeper = read_properties(*inner, path, name + ".");
                std::ranges::move(deeper, std::back_inserter(properties));
            } else if (auto scalar = to_scalar(node)) {
                properties.emplace_back(name, std::move(*scalar));
            } else {
                complain(
                    node.source().begin,
                    fmt::format("{}.{}: want one value, got {}", path, name, name_of(node.type()))
                );
            }
        }
        return properties;
    }

    static std::string full_name(const Key& key) {
        return key.section.empty() ? std::string{key.name}
                                   : fmt::format("{}.{}", key.section, key.name);
    }

    static std::string shown(const toml::node& node) {
        if (const auto* written = node.as_string()) {
            return fmt::format("\"{}\"", written->get().substr(0, 80));
        }
        return std::string{name_of(node.type())};
    }

    static constexpr std::array<std::pair<std::string_view, std::string_view>, 4> required{
        {{"route", "filter"},
         {"route", "topic"},
         {"topic", "name"},
         {"upstream", "bootstrap_servers"}}};

    std::string file_;
    LoadedConfig& loaded_;
    std::map<std::string, toml::source_position> places_;
    std::map<std::string, bool> broken_;  // reported already; not checked against others
};

}  // namespace

std::string ConfigError::text() const {
    return line == 0 ? fmt::format("{}: {}", file, what)
                     : fmt::format("{}:{}:{}: {}", file, line, column, what);
}

LoadedConfig parse_config(
    std::string_view text,
    std::string_view name,
    const PropertyCheck& check_property
) {
    LoadedConfig loaded;
    Reader reader{name, loaded};
    try {
        reader.read(toml::parse(text, name));
    } catch (const toml::parse_error& wrong) {
        reader.complain(wrong.source().begin, std::string{wrong.description()});
        return loaded;
    }
    for (const auto& finding : check_config(loaded.config, check_property))
        reader.add(finding);
    std::ranges::stable_sort(loaded.errors, {}, [](const ConfigError& error) {
        return std::pair{error.line, error.column};
    });
    return loaded;
}

LoadedConfig load_config(const std::filesystem::path& file, const PropertyCheck& check_property) {
    LoadedConfig loaded;
    const auto refuse = [&](std::string what) {
        loaded.errors.push_back({file.string(), 0, 0, std::move(what)});
        return loaded;
    };
    std::ifstream stream{file, std::ios::binary};
    if (!stream) return refuse("cannot be opened: " + std::generic_category().message(errno));
    std::string text(file_bytes_max + 1, '\0');
    stream.read(text.data(), static_cast<std::streamsize>(text.size()));
    if (stream.bad() || (stream.fail() && !stream.eof())) return refuse("cannot be read");
    text.resize(static_cast<std::size_t>(stream.gcount()));
    if (text.size() > file_bytes_max) return refuse("is longer than 1 MiB");
    return parse_config(text, file.string(), check_property);
}

}  // namespace milepost
