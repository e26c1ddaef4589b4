#include "firmware-sim/simulated_clock.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>

namespace milepost::fleet {

namespace {

constexpr double real_seconds_max = 10 * 366 * 86'400.0;
constexpr std::int64_t ms_per_minute = 60'000;

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

// Takes `digits` digits from the front; -1 if they are not there.
int take_number(std::string_view& text, std::size_t digits) {
    if (text.size() < digits) return -1;
    int number = 0;
    for (const char c : text.substr(0, digits)) {
        if (!is_digit(c)) return -1;
        number = number * 10 + (c - '0');
    }
    text.remove_prefix(digits);
    return number;
}

bool take(std::string_view& text, std::string_view any_of) {
    if (text.empty() || any_of.find(text.front()) == std::string_view::npos) return false;
    text.remove_prefix(1);
    return true;
}

std::optional<std::int64_t> take_date_ms(std::string_view& text) {
    const int year = take_number(text, 4);
    if (year < 1970 || !take(text, "-")) return std::nullopt;
    const int month = take_number(text, 2);
    if (month < 1 || !take(text, "-")) return std::nullopt;
    const int day = take_number(text, 2);
    if (day < 1) return std::nullopt;
    const std::chrono::year_month_day date{
        std::chrono::year{year},
        std::chrono::month{static_cast<unsigned>(month)},
        std::chrono::day{static_cast<unsigned>(day)}};
    if (!date.ok()) return std::nullopt;
    const auto since_epoch = std::chrono::sys_days{date}.time_since_epoch();
    return std::chrono::duration_cast<std::chrono::milliseconds>(since_epoch).count();
}

std::optional<std::int64_t> take_time_of_day_ms(std::string_view& text) {
    const int hour = take_number(text, 2);
    if (hour < 0 || hour > 23 || !take(text, ":")) return std::nullopt;
    const int minute = take_number(text, 2);
    if (minute < 0 || minute > 59 || !take(text, ":")) return std::nullopt;
    const int second = take_number(text, 2);
    if (second < 0 || second > 60) return std::nullopt;  // 60: a leap second, the next one here
    std::int64_t fraction = 0;
    if (take(text, ".")) {
        if (text.empty() || !is_digit(text.front())) return std::nullopt;
        for (std::int64_t unit = 100; !text.empty() && is_digit(text.front()); unit /= 10) {
            fraction += (text.front() - '0') * unit;
            text.remove_prefix(1);
        }
    }
    return ((hour * 60 + minute) * 60 + second) * std::int64_t{1000} + fraction;
}

// What to take away to be in UTC.
std::optional<std::int64_t> take_zone_ms(std::string_view& text) {
    if (take(text, "Zz")) return 0;
    const bool is_west = !text.empty() && text.front() == '-';
    if (!take(text, "+-")) return std::nullopt;
    const int hours = take_number(text, 2);
    if (hours < 0 || hours > 23 || !take(text, ":")) return std::nullopt;
    const int minutes = take_number(text, 2);
    if (minutes < 0 || minutes > 59) return std::nullopt;
    return (hours * 60 + minutes) * (is_west ? -ms_per_minute : ms_per_minute);
}

}  // namespace

Duration SimulatedClock::elapsed(Instant now) const {
    const std::chrono::duration<double> real = now - began_;
    return std::chrono::duration_cast<Duration>(real * speed_);
}

Instant SimulatedClock::moment(Duration since_start) const {
    const auto real = std::chrono::duration<double>(since_start) / speed_;
    if (real.count() > real_seconds_max) return Instant::max();
    return began_ + std::chrono::duration_cast<Duration>(real);
}

std::optional<Timestamp> parse_rfc3339(std::string_view text) {
    const auto date = take_date_ms(text);
    if (!date || !take(text, "Tt ")) return std::nullopt;
    const auto time_of_day = take_time_of_day_ms(text);
    if (!time_of_day) return std::nullopt;
    const auto zone = take_zone_ms(text);
    if (!zone || !text.empty()) return std::nullopt;
    const std::int64_t utc = *date + *time_of_day - *zone;
    return utc < 0 ? std::nullopt : std::optional{Timestamp{utc}};
}

}  // namespace milepost::fleet
