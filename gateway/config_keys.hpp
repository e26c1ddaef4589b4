#pragma once

#include "gateway/config.hpp"

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace milepost {

// What a key takes.
enum class KeyType : std::uint8_t {
    boolean,
    integer,
    bytes,         // an integer, or "64MiB"
    milliseconds,  // an integer in that unit, or "20ms", "10s", "5min", "1h", "7d"
    seconds,
    text,
    list,        // a text with commas, or an array of texts
    properties,  // a table of anything scalar
};

using Properties = std::vector<std::pair<std::string, std::string>>;
using KeyValue = std::variant<bool, std::int64_t, std::string, Properties>;

// Limits of a number (in the key's unit) or of a text's length in bytes.
struct KeyLimits {
    std::int64_t min = 0;
    std::int64_t max = 0;
};

struct Key {
    std::string_view section;  // "", "mqtt", "mqtt.listener", …
    std::string_view name;
    KeyType type = KeyType::text;
    std::string_view fallback;  // as it is written in TOML; empty: none
    KeyLimits limits;
    std::string_view choices;  // "block|drop_oldest"; empty: any
    std::string_view help;
    // Into `config`; for [[…]] into the last element.
    void (*set)(Config& config, const KeyValue& value) = nullptr;
};

struct Section {
    std::string_view name;
    bool repeated = false;  // [[name]]
    std::string_view help;
    // Makes room for it in `config`: a new element, or the optional part. May be null.
    void (*begin)(Config& config) = nullptr;
};

// In the order of packaging/milepost.toml.
[[nodiscard]] std::span<const Section> config_sections();
[[nodiscard]] std::span<const Key> config_keys();
[[nodiscard]] const Key* find_key(std::string_view section, std::string_view name);
[[nodiscard]] const Section* find_section(std::string_view name);

// The commented configuration file with every key and its default: packaging/milepost.toml.
[[nodiscard]] std::string describe_config();

}  // namespace milepost
