#include "firmware-sim/speed_trace.hpp"

#include "firmware-sim/cycle_tables.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>
#include <utility>

namespace milepost::fleet {

namespace {

using Point = SpeedTrace::Point;

constexpr double kmh = 1 / 3.6;  // m/s
constexpr double mph = 0.44704;  // m/s
constexpr double tenth = 0.1;
constexpr std::size_t transient_s = 505;  // of the UDDS, driven twice
constexpr double soak_s = 600;            // 40 CFR 1066: between 540 and 660
constexpr int urban_cycles = 4;

// One point a second, from `seconds` on.
double append_table(
    std::span<const std::int16_t> table,
    double unit,
    double seconds,
    std::vector<Point>& points
) {
    for (const std::int16_t speed : table) {
        points.push_back({.seconds = seconds, .speed = speed * tenth * unit, .is_ignited = true});
        seconds += 1;
    }
    return seconds - 1;  // the last one's
}

void append_operations(std::span<const CycleOperation> operations, std::vector<Point>& points) {
    for (const CycleOperation& operation : operations) {
        points.push_back({
            .seconds = points.back().seconds + operation.seconds,
            .speed = operation.speed * kmh,
            .is_ignited = true,
        });
    }
}

// What is wrong with the next point of a user's file; empty if nothing.
std::string wrong_with(const std::vector<Point>& points, const std::vector<double>& numbers) {
    if (numbers.size() < 2 || numbers.size() > 3) return "not seconds,km/h[,ignition]";
    const double seconds = numbers[0];
    if (points.empty() && seconds != 0) return "the first second is not 0";
    if (!points.empty() && seconds <= points.back().seconds) return "the seconds do not rise";
    if (seconds > SpeedTrace::seconds_max) return "longer than seven days";
    if (numbers[1] < 0 || numbers[1] > SpeedTrace::speed_max) {
        return fmt::format("a speed outside 0 to {} km/h", SpeedTrace::speed_max);
    }
    if (numbers.size() == 3 && numbers[2] != 0 && numbers[2] != 1) return "an ignition not 0 or 1";
    if (numbers.size() == 3 && numbers[2] == 0 && numbers[1] != 0) return "driven without ignition";
    if (points.size() == SpeedTrace::points_max) return "too many points";
    if (points.empty()) return {};
    const double slope = (numbers[1] * kmh - points.back().speed) /
                         (seconds - points.back().seconds);
    if (std::abs(slope) > SpeedTrace::acceleration_max) return "no car changes its speed so fast";
    return {};
}

}  // namespace

SpeedTrace SpeedTrace::wltp() {
    std::vector<Point> points;
    append_table(wltc_class_3b_table(), kmh, 0, points);
    return SpeedTrace{std::move(points)};
}

SpeedTrace SpeedTrace::nedc() {
    std::vector<Point> points{{.seconds = 0, .speed = 0, .is_ignited = true}};
    for (int i = 0; i < urban_cycles; ++i)
        append_operations(ece_15_operations(), points);
    append_operations(extra_urban_operations(), points);
    return SpeedTrace{std::move(points)};
}

SpeedTrace SpeedTrace::ftp_75() {
    std::vector<Point> points;
    const double cold_end = append_table(udds_table(), mph, 0, points);
    points.back().is_ignited = false;
    append_table(udds_table().first(transient_s + 1), mph, cold_end + soak_s, points);
    return SpeedTrace{std::move(points)};
}

std::optional<SpeedTrace> SpeedTrace::named(std::string_view name) {
    if (name == "wltp") return wltp();
    if (name == "nedc") return nedc();
    if (name == "ftp-75") return ftp_75();
    return std::nullopt;
}

Input<SpeedTrace> SpeedTrace::parse_csv(std::string_view text, const std::string& name) {
    std::vector<Point> points;
    std::vector<double> numbers;
    std::string error;
    bool is_first = true;
    for_each_line(text, [&](std::size_t number, std::string_view line) {
        const bool may_be_names = std::exchange(is_first, false);
        if (!parse_numbers(line, numbers)) {
            if (may_be_names) return true;
            error = fmt::format("{}:{}: not seconds,km/h[,ignition]", name, number);
            return false;
        }
        if (const std::string wrong = wrong_with(points, numbers); !wrong.empty()) {
            error = fmt::format("{}:{}: {}", name, number, wrong);
            return false;
        }
        points.push_back({
            .seconds = numbers[0],
            .speed = numbers[1] * kmh,
            .is_ignited = numbers.size() < 3 || numbers[2] == 1,
        });
        return true;
    });
    if (!error.empty()) return InputError{error};
    if (points.size() < 2) return InputError{name + ": fewer than two points"};
    if (points.front().speed != 0 || points.back().speed != 0) {
        return InputError{name + ": does not begin and end at rest, and is driven in rounds"};
    }
    return SpeedTrace{std::move(points)};
}

SpeedTrace::Place SpeedTrace::at(double seconds) const {
    const double within = std::fmod(seconds, points_.back().seconds);
    const auto after = std::upper_bound(
        points_.begin() + 1,
        points_.end() - 1,
        within,
        [](double wanted, const Point& point) { return wanted < point.seconds; }
    );
    const Point& from = *(after - 1);
    const double part = (within - from.seconds) / (after->seconds - from.seconds);
    return {.speed = std::lerp(from.speed, after->speed, part), .is_ignited = from.is_ignited};
}

}  // namespace milepost::fleet
