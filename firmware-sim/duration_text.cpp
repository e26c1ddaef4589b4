#include "firmware-sim/duration_text.hpp"

#include <charconv>
#include <cmath>
#include <cstddef>

namespace milepost::fleet {

std::optional<std::chrono::milliseconds> parse_duration(std::string_view text) {
    constexpr double year_ms = 366.0 * 24 * 3600 * 1000;
    double number = 0;
    const char* const end = text.data() + text.size();
    const auto [stopped, error] = std::from_chars(text.data(), end, number);
    if (error != std::errc{} || !std::isfinite(number) || number < 0) return std::nullopt;
    const std::string_view unit = text.substr(static_cast<std::size_t>(stopped - text.data()));
    double milliseconds = 0;
    if (unit == "ms") {
        milliseconds = number;
    } else if (unit.empty() || unit == "s") {
        milliseconds = number * 1000;
    } else if (unit == "m") {
        milliseconds = number * 60'000;
    } else if (unit == "h") {
        milliseconds = number * 3'600'000;
    } else {
        return std::nullopt;
    }
    if (milliseconds > year_ms) return std::nullopt;
    return std::chrono::milliseconds{std::llround(milliseconds)};
}

}  // namespace milepost::fleet
