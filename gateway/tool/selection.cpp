#include "gateway/tool/selection.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>

namespace milepost::tool {

namespace {

constexpr std::int64_t ms_per_second = 1'000;
constexpr std::int64_t ms_per_minute = 60 * ms_per_second;
constexpr std::int64_t ms_per_hour = 60 * ms_per_minute;
constexpr std::int64_t ms_per_day = 24 * ms_per_hour;
constexpr std::int64_t far_years = 10'000;

std::optional<std::int64_t> number_of(std::string_view text) {
    std::int64_t value = 0;
    const auto* end_of_text = text.data() + text.size();
    const auto [end, failed] = std::from_chars(text.data(), end_of_text, value);
    if (failed != std::errc{} || end != end_of_text || text.front() == '-') return std::nullopt;
    return value;
}

// Takes exactly `count` digits off the front.
std::optional<int> digits(std::string_view& text, std::size_t count) {
    if (text.size() < count) return std::nullopt;
    int value = 0;
    for (const char digit : text.substr(0, count)) {
        if (digit < '0' || digit > '9') return std::nullopt;
        value = value * 10 + (digit - '0');
    }
    text.remove_prefix(count);
    return value;
}

bool take(std::string_view& text, std::string_view letters) {
    if (text.empty() || letters.find(text.front()) == std::string_view::npos) return false;
    text.remove_prefix(1);
    return true;
}

std::optional<std::int64_t> milliseconds_of(std::string_view& text) {
    if (!take(text, ".")) return 0;
    std::int64_t value = 0;
    std::int64_t unit = ms_per_second / 10;
    std::size_t count = 0;
    while (!text.empty() && text.front() >= '0' && text.front() <= '9') {
        value += (text.front() - '0') * unit;
        unit /= 10;
        ++count;
        text.remove_prefix(1);
    }
    if (count == 0) return std::nullopt;
    return value;
}

std::optional<std::int64_t> zone_of(std::string_view text) {
    if (text == "Z" || text == "z") return 0;
    const bool is_east = text.starts_with('+');
    if (!take(text, "+-")) return std::nullopt;
    const auto hours = digits(text, 2);
    if (!hours || *hours > 23 || !take(text, ":")) return std::nullopt;
    const auto minutes = digits(text, 2);
    if (!minutes || *minutes > 59 || !text.empty()) return std::nullopt;
    const auto distance = *hours * ms_per_hour + *minutes * ms_per_minute;
    return is_east ? distance : -distance;
}

std::optional<Timestamp> parse_rfc3339(std::string_view text) {
    const auto year = digits(text, 4);
    if (!year || !take(text, "-")) return std::nullopt;
    const auto month = digits(text, 2);
    if (!month || !take(text, "-")) return std::nullopt;
    const auto day = digits(text, 2);
    if (!day || !take(text, "Tt ")) return std::nullopt;
    const auto hour = digits(text, 2);
    if (!hour || *hour > 23 || !take(text, ":")) return std::nullopt;
    const auto minute = digits(text, 2);
    if (!minute || *minute > 59 || !take(text, ":")) return std::nullopt;
    const auto second = digits(text, 2);
    if (!second || *second > 60) return std::nullopt;  // 60: a leap second
    const auto fraction = milliseconds_of(text);
    if (!fraction) return std::nullopt;
    const auto zone = zone_of(text);
    const std::chrono::year_month_day date{
        std::chrono::year{*year},
        std::chrono::month{static_cast<unsigned>(*month)},
        std::chrono::day{static_cast<unsigned>(*day)}};
    if (!zone || !date.ok()) return std::nullopt;
    const auto days = std::chrono::sys_days{date}.time_since_epoch().count();
    return Timestamp{
        days * ms_per_day + *hour * ms_per_hour + *minute * ms_per_minute +
        *second * ms_per_second + *fraction - *zone};
}

std::optional<Timestamp> parse_before_now(std::string_view text, Timestamp now) {
    struct Unit {
        std::string_view name;
        std::int64_t ms;
    };

    constexpr std::array units = {
        Unit{"min", ms_per_minute},
        Unit{"ms", 1},
        Unit{"s", ms_per_second},
        Unit{"h", ms_per_hour},
        Unit{"d", ms_per_day}};
    for (const auto& unit : units) {
        if (!text.ends_with(unit.name)) continue;
        text.remove_suffix(unit.name.size());
        if (text.empty()) return std::nullopt;
        const auto count = number_of(text);
        if (!count || *count > far_years * 366 * ms_per_day / unit.ms) return std::nullopt;
        return now - *count * unit.ms;
    }
    return std::nullopt;
}

void append_text(std::string_view text, std::string& to) {
    fmt::format_to(std::back_inserter(to), "{}:{},", text.size(), text);
}

}  // namespace

bool Selection::wants(std::string_view topic, std::int32_t of_partition) const {
    if (partition && *partition != of_partition) return false;
    return topics.empty() || std::ranges::find(topics, topic) != topics.end();
}

bool Selection::wants_key(const std::optional<Bytes>& key) const {
    if (keys.empty()) return true;
    return key && std::ranges::find(keys, as_text(*key)) != keys.end();
}

bool Selection::wants(const ReplayRecord& record) const {
    if (!wants(record.topic, record.partition) || !wants_key(record.key)) return false;
    if (offsets.first && record.offset.value() < *offsets.first) return false;
    if (offsets.end && record.offset.value() >= *offsets.end) return false;
    return wants_time(record.timestamp);
}

bool Selection::wants_time(Timestamp time) const {
    return (!since || time >= *since) && (!until || time < *until);
}

std::string Selection::fingerprint() const {
    std::string text = "topics ";
    for (const auto& topic : topics)
        append_text(topic, text);
    text += " keys ";
    for (const auto& key : keys)
        append_text(key, text);
    fmt::format_to(
        std::back_inserter(text),
        " partition {} offsets {}..{}",
        partition.value_or(-1),
        offsets.first.value_or(-1),
        offsets.end.value_or(-1)
    );
    return text;
}

std::optional<Timestamp> parse_time(std::string_view text, Timestamp now) {
    if (text == "now") return now;
    if (text.empty()) return std::nullopt;
    if (text.starts_with('-')) return parse_before_now(text.substr(1), now);
    if (const auto number = number_of(text)) return Timestamp{*number};
    return parse_rfc3339(text);
}

std::optional<OffsetRange> parse_offset_range(std::string_view text) {
    const auto dots = text.find("..");
    if (dots == std::string_view::npos) return std::nullopt;
    OffsetRange range;
    const auto first = text.substr(0, dots);
    const auto end = text.substr(dots + 2);
    if (!first.empty() && !(range.first = number_of(first))) return std::nullopt;
    if (!end.empty() && !(range.end = number_of(end))) return std::nullopt;
    if (range.first && range.end && *range.first > *range.end) return std::nullopt;
    return range;
}

std::string time_text(Timestamp time) {
    const std::chrono::sys_time<std::chrono::milliseconds> point{
        std::chrono::milliseconds{time.value()}};
    if (time.value() < -62'167'219'200'000 || time.value() >= 253'402'300'800'000) {
        return fmt::format("{}", time.value());
    }
    const auto day = std::chrono::floor<std::chrono::days>(point);
    const std::chrono::year_month_day date{day};
    const auto ms = (point - day).count();
    return fmt::format(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
        static_cast<int>(date.year()),
        static_cast<unsigned>(date.month()),
        static_cast<unsigned>(date.day()),
        ms / ms_per_hour,
        ms / ms_per_minute % 60,
        ms / ms_per_second % 60,
        ms % ms_per_second
    );
}

}  // namespace milepost::tool
