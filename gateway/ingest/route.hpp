#pragma once

#include "storage/base/result.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace milepost::ingest {

// The most wildcards that one route filter may have.
inline constexpr std::size_t route_captures_max = 16;
// The longest key, in bytes, that a route may make out of captures.
inline constexpr std::size_t route_key_bytes_max = 1024;

// One route as configured: MQTT topic filter -> Kafka topic, key template, partition count.
struct RouteSpec {
    std::string filter;  // MQTT filter; `{name}` is a named `+` (a whole level)
    std::string topic;   // literal Kafka topic
    std::string key;  // template of `{name}`, `{n}` and text; empty: {vehicle_id} or the client id
    std::int32_t partitions = 4;
};

// What is wrong with a spec: the key of the configuration, and one sentence.
struct RouteProblem {
    std::string_view key;  // "filter", "topic", "key" or "partitions"
    std::string what;
};

// The three that are used when none is configured.
[[nodiscard]] std::vector<RouteSpec> shipped_routes();

// What matching gives: which levels the wildcards stood for.
struct Captures {
    std::array<std::string_view, route_captures_max> values;
    std::size_t count = 0;
};

// A compiled route. Pure; any thread.
class Route {
public:
    // The route, or everything that is wrong with the spec.
    static std::variant<Route, std::vector<RouteProblem>> compile(const RouteSpec& spec);

    // Whether `topic` (a valid MQTT topic name) matches; fills `captures`. `#` takes no capture,
    // and where it or `+` leads it does not match topics that begin with `$` (MQTT-4.7.2-1).
    [[nodiscard]] bool match(std::string_view topic, Captures& captures) const;

    // The key for a match. A view into the topic, the client id, or `scratch`. An empty capture
    // falls back to the client id.
    [[nodiscard]] std::string_view key(
        const Captures& captures,
        std::string_view client_id,
        std::string& scratch
    ) const;

    // Whether the MQTT topic can be rebuilt from the filter and this key, so that no header is
    // needed.
    [[nodiscard]] bool rebuilds_topic(const Captures& captures) const;

    [[nodiscard]] const std::string& topic() const { return topic_; }

    [[nodiscard]] std::int32_t partitions() const { return partitions_; }

private:
    struct Level {
        enum class Kind : std::uint8_t { literal, single, rest };
        Kind kind = Kind::literal;
        std::string text;  // literal
        std::string name;  // single: may be empty
    };

    struct KeyPart {
        std::string text;                    // used where capture is not set
        std::optional<std::size_t> capture;  // index into Captures
    };

    [[nodiscard]] std::optional<std::string> parse_filter(std::string_view filter);
    [[nodiscard]] std::optional<std::string> parse_key(std::string_view key);
    [[nodiscard]] std::optional<std::string> name_capture(std::string_view text, Level& level);
    [[nodiscard]] std::optional<std::size_t> capture_named(std::string_view name) const;
    [[nodiscard]] std::optional<std::size_t> capture_by_name_or_number(std::string_view name) const;

    std::vector<Level> levels_;
    std::vector<KeyPart> key_;  // empty: the client id
    std::string topic_;
    std::int32_t partitions_ = 0;
    std::size_t captures_ = 0;
    bool rebuilds_topic_ = false;
};

}  // namespace milepost::ingest
