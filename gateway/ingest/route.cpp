#include "gateway/ingest/route.hpp"

#include <algorithm>
#include <charconv>

namespace milepost::ingest {

namespace {

constexpr std::size_t kafka_topic_bytes_max = 249;
constexpr std::int32_t partitions_max = 256;
constexpr std::size_t filter_bytes_max = 512;

bool is_kafka_topic(std::string_view topic) {
    const auto allowed = [](char c) {
        return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
               c == '.' || c == '_' || c == '-';
    };
    return !topic.empty() && topic.size() <= kafka_topic_bytes_max && topic != "." &&
           topic != ".." && std::all_of(topic.begin(), topic.end(), allowed);
}

bool is_capture(std::string_view level) {
    return level.size() >= 2 && level.front() == '{' && level.back() == '}';
}

// A letter or `_`, then letters, digits and `_`: `{1}` counts, it does not name.
bool is_capture_name(std::string_view name) {
    const auto letter = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
    };
    return !name.empty() && letter(name.front()) &&
           std::all_of(name.begin(), name.end(), [&](char c) {
               return letter(c) || (c >= '0' && c <= '9');
           });
}

// Takes what stands before the next '/' off `rest`; the last level ends it.
std::string_view take_level(std::string_view& rest, bool& more) {
    const std::size_t slash = rest.find('/');
    more = slash != std::string_view::npos;
    const std::string_view level = rest.substr(0, slash);
    rest = more ? rest.substr(slash + 1) : std::string_view{};
    return level;
}

}  // namespace

std::vector<RouteSpec> shipped_routes() {
    return {
        {"vehicles/{vehicle_id}/telemetry", "vehicle.telemetry", "", 4},
        {"vehicles/{vehicle_id}/event/#", "vehicle.events", "", 4},
        {"#", "mqtt.other", "", 4},
    };
}

std::variant<Route, std::vector<RouteProblem>> Route::compile(const RouteSpec& spec) {
    Route route;
    std::vector<RouteProblem> problems;
    if (auto wrong = route.parse_filter(spec.filter)) {
        problems.push_back({"filter", *wrong});
    } else if (auto wrong_key = route.parse_key(spec.key)) {
        problems.push_back({"key", *wrong_key});
    }
    if (!is_kafka_topic(spec.topic)) {
        problems.push_back(
            {"topic", "`" + spec.topic + "` is no Kafka topic ([A-Za-z0-9._-], 1 to 249 bytes)"}
        );
    }
    if (spec.partitions < 1 || spec.partitions > partitions_max) {
        problems.push_back({"partitions", "must be from 1 to " + std::to_string(partitions_max)});
    }
    if (!problems.empty()) return problems;
    route.topic_ = spec.topic;
    route.partitions_ = spec.partitions;

    const bool ends_open = route.levels_.back().kind == Level::Kind::rest;
    const bool key_is_the_capture = route.captures_ == 1 && route.key_.size() == 1 &&
                                    route.key_.front().capture.has_value();
    route.rebuilds_topic_ = !ends_open && (route.captures_ == 0 || key_is_the_capture);
    return route;
}

std::optional<std::string> Route::parse_filter(std::string_view filter) {
    if (filter.empty()) return "must not be empty";
    if (filter.size() > filter_bytes_max) {
        return "longer than " + std::to_string(filter_bytes_max) + " bytes";
    }
    if (filter.find('\0') != std::string_view::npos) return "must not hold U+0000";
    std::string_view rest = filter;
    bool more = true;
    while (more) {
        const std::string_view text = take_level(rest, more);
        if (text == "#" && more) return "`#` must be the last level";
        Level level;
        if (text == "#") {
            level.kind = Level::Kind::rest;
        } else if (text == "+" || is_capture(text)) {
            if (auto wrong = name_capture(text, level)) return wrong;
        } else if (text.find_first_of("+#{}") != std::string_view::npos) {
            return "`+`, `#` and `{name}` must be a whole level, not part of `" +
                   std::string{text} + "`";
        } else {
            level.text = text;
        }
        levels_.push_back(std::move(level));
    }
    return std::nullopt;
}

std::optional<std::string> Route::name_capture(std::string_view text, Level& level) {
    level.kind = Level::Kind::single;
    if (++captures_ > route_captures_max) {
        return "more than " + std::to_string(route_captures_max) + " wildcards";
    }
    if (text == "+") return std::nullopt;
    level.name = text.substr(1, text.size() - 2);
    if (!is_capture_name(level.name)) return "`" + level.name + "` is no name for a capture";
    if (capture_named(level.name)) return "two captures are named `" + level.name + "`";
    return std::nullopt;
}

std::optional<std::size_t> Route::capture_named(std::string_view name) const {
    std::size_t index = 0;
    for (const Level& level : levels_) {
        if (level.kind != Level::Kind::single) continue;
        if (!level.name.empty() && level.name == name) return index;
        ++index;
    }
    return std::nullopt;
}

std::optional<std::string> Route::parse_key(std::string_view key) {
    if (key.empty()) {
        if (const auto vehicle = capture_named("vehicle_id")) key_.push_back({"", vehicle});
        return std::nullopt;
    }
    while (!key.empty()) {
        const std::size_t brace = key.find_first_of("{}");
        if (brace != 0) {
            key_.push_back({std::string{key.substr(0, brace)}, std::nullopt});
            key = brace == std::string_view::npos ? std::string_view{} : key.substr(brace);
            continue;
        }
        const std::size_t close = key.find('}');
        if (key.front() == '}' || close == std::string_view::npos) {
            return "a brace without its other half in `" + std::string{key} + "`";
        }
        const std::string_view name = key.substr(1, close - 1);
        const auto capture = capture_by_name_or_number(name);
        if (!capture) return "the filter has no capture `{" + std::string{name} + "}`";
        key_.push_back({"", capture});
        key = key.substr(close + 1);
    }
    return std::nullopt;
}

std::optional<std::size_t> Route::capture_by_name_or_number(std::string_view name) const {
    std::size_t number = 0;
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
    if (error != std::errc{} || end != name.data() + name.size()) return capture_named(name);
    if (number < 1 || number > captures_) return std::nullopt;
    return number - 1;
}

bool Route::match(std::string_view topic, Captures& captures) const {
    captures.count = 0;
    const bool system_topic = !topic.empty() && topic.front() == '$';
    if (system_topic && levels_.front().kind != Level::Kind::literal) return false;

    std::string_view rest = topic;
    bool more = true;
    for (const Level& level : levels_) {
        if (level.kind == Level::Kind::rest) return true;  // `a/#` matches `a` as well
        if (!more) return false;
        const std::string_view text = take_level(rest, more);
        if (level.kind == Level::Kind::single) {
            captures.values[captures.count++] = text;
        } else if (text != level.text) {
            return false;
        }
    }
    return !more;
}

std::string_view Route::key(
    const Captures& captures,
    std::string_view client_id,
    std::string& scratch
) const {
    if (key_.empty()) return client_id;
    if (key_.size() == 1 && key_.front().capture) {
        const std::string_view value = captures.values[*key_.front().capture];
        return value.empty() ? client_id : value;
    }
    scratch.clear();
    for (const KeyPart& part : key_) {
        if (!part.capture) {
            scratch += part.text;
            continue;
        }
        const std::string_view value = captures.values[*part.capture];
        if (value.empty()) return client_id;
        scratch += value;
    }
    if (scratch.size() > route_key_bytes_max) scratch.resize(route_key_bytes_max);
    return scratch;
}

bool Route::rebuilds_topic(const Captures& captures) const {
    return rebuilds_topic_ && (captures_ == 0 || !captures.values[0].empty());
}

}  // namespace milepost::ingest
