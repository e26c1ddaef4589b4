#include "gateway/tool/pacer.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>

namespace milepost::tool {

namespace {

constexpr double ns_per_ms = 1e6;
constexpr double ns_per_second = 1e9;
constexpr double speed_min = 1e-6;
constexpr double speed_max = 1e9;
// Further away than anybody waits, and well inside of an Instant.
constexpr double wait_max_ns = 100.0 * 365 * 24 * 3600 * ns_per_second;

Duration nanoseconds(double count) {
    return std::chrono::nanoseconds{
        static_cast<std::int64_t>(std::round(std::clamp(count, 0.0, wait_max_ns)))};
}

}  // namespace

std::optional<Speed> parse_speed(std::string_view text) {
    if (text == "max") return Speed{};
    bool is_rate = false;
    if (text.ends_with("/s")) {
        text.remove_suffix(2);
        is_rate = true;
    } else if (text.ends_with("x")) {
        text.remove_suffix(1);
    } else if (text.ends_with("×")) {
        text.remove_suffix(std::string_view{"×"}.size());
    } else {
        return std::nullopt;
    }
    double value = 0;
    const auto* end_of_text = text.data() + text.size();
    const auto [end, failed] = std::from_chars(text.data(), end_of_text, value);
    if (failed != std::errc{} || end != end_of_text) return std::nullopt;
    if (!(value >= speed_min && value <= speed_max)) return std::nullopt;
    return is_rate ? Speed{.times = 0, .per_second = value} : Speed{.times = value};
}

Instant Pacer::due(Timestamp timestamp) {
    if (speed_.is_max()) return start_;
    if (speed_.per_second > 0) {
        const auto number = static_cast<double>(count_++);
        return start_ + nanoseconds(number * ns_per_second / speed_.per_second);
    }
    if (!base_) base_ = timestamp;
    const auto since_base = [&] {
        const auto ms = static_cast<double>(timestamp.value()) -
                        static_cast<double>(base_->value());
        return nanoseconds(ms * ns_per_ms / speed_.times);
    };
    Instant due = std::max(start_ + since_base(), last_due_);
    if (gap_max_ && due - last_due_ > *gap_max_) {
        // From here on this record is the first one.
        due = last_due_ + *gap_max_;
        start_ = due;
        base_ = timestamp;
    }
    last_due_ = due;
    return due;
}

}  // namespace milepost::tool
