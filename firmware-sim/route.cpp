#include "firmware-sim/route.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <utility>

namespace milepost::fleet {

namespace {

constexpr double pi = std::numbers::pi;
constexpr double centre_latitude = 48.55;  // degrees
constexpr double centre_longitude = 9.20;
constexpr double radius = 6000;  // m, of the circle that the shipped loop winds round
constexpr double metres_per_degree = 111'320;
constexpr std::size_t node_count = 2880;  // of the shipped loop: one every 14 m or so

constexpr double loop_gap_max = 50;   // m
constexpr double spacing_min = 10;    // m between the nodes of a user's road
constexpr std::size_t smoothing = 2;  // nodes to either side that a corner is spread over
constexpr int smoothing_rounds = 3;
constexpr double latitude_max = 85;
constexpr double altitude_min = -500;
constexpr double altitude_max = 9000;

// The shipped loop in polar form: a circle whose radius swings. Never crosses itself.
double radius_at(double angle) {
    return radius * (1 + 0.18 * std::sin(3 * angle) + 0.07 * std::sin(7 * angle + 1) +
                     0.015 * std::sin(19 * angle));
}

double altitude_at(double angle) {
    return 560 + 90 * std::sin(2 * angle + 0.5) + 30 * std::sin(5 * angle);
}

std::vector<GeoPoint> shipped_loop() {
    std::vector<GeoPoint> points;
    points.reserve(node_count + 1);
    for (std::size_t i = 0; i <= node_count; ++i) {
        const double angle = 2 * pi * static_cast<double>(i) / static_cast<double>(node_count);
        const double latitude = centre_latitude +
                                radius_at(angle) * std::sin(angle) / metres_per_degree;
        const double degree_east = metres_per_degree * std::cos(latitude * pi / 180);
        points.push_back({
            .latitude = latitude,
            .longitude = centre_longitude + radius_at(angle) * std::cos(angle) / degree_east,
            .altitude = altitude_at(angle),
        });
    }
    return points;
}

struct Step {
    double east;   // m
    double north;  // m

    [[nodiscard]] double length() const { return std::hypot(east, north); }
};

// Flat between two points that are near each other.
Step step_between(const GeoPoint& from, const GeoPoint& to) {
    const double middle = (from.latitude + to.latitude) / 2;
    return {
        .east = (to.longitude - from.longitude) * metres_per_degree * std::cos(middle * pi / 180),
        .north = (to.latitude - from.latitude) * metres_per_degree,
    };
}

GeoPoint between(const GeoPoint& from, const GeoPoint& to, double part) {
    return {
        .latitude = std::lerp(from.latitude, to.latitude, part),
        .longitude = std::lerp(from.longitude, to.longitude, part),
        .altitude = std::lerp(from.altitude, to.altitude, part),
    };
}

// The difference of two directions, between -pi and pi.
double turned(double from, double to) {
    return std::remainder(to - from, 2 * pi);
}

// The same road with a point at every `spacing` metres; the last one is kept.
std::vector<GeoPoint> evenly_spaced(const std::vector<GeoPoint>& points, double spacing) {
    std::vector<GeoPoint> even{points.front()};
    double until_next = spacing;
    for (std::size_t i = 1; i < points.size(); ++i) {
        const double length = step_between(points[i - 1], points[i]).length();
        double walked = 0;
        while (length - walked >= until_next) {
            walked += until_next;
            even.push_back(between(points[i - 1], points[i], walked / length));
            until_next = spacing;
        }
        until_next -= length - walked;
    }
    if (step_between(even.back(), points.back()).length() > spacing / 2) {
        even.push_back(points.back());
    } else {
        even.back() = points.back();
    }
    return even;
}

// Every point in the middle of its neighbours, so that corners become bends. Ends stay; a loop has
// none.
std::vector<GeoPoint> smoothed(const std::vector<GeoPoint>& points, bool is_loop) {
    const std::size_t count = points.size();
    std::vector<GeoPoint> smooth = points;
    for (std::size_t i = 0; i < count; ++i) {
        // As many to either side as there are.
        const std::size_t reach = is_loop ? smoothing : std::min({smoothing, i, count - 1 - i});
        GeoPoint sum{};
        for (std::size_t k = 0; k <= 2 * reach; ++k) {
            const std::size_t round = count - 1;  // the last is the first
            const std::size_t index = is_loop ? (i + round + k - reach) % round : i + k - reach;
            sum.latitude += points[index].latitude;
            sum.longitude += points[index].longitude;
            sum.altitude += points[index].altitude;
        }
        const auto weight = static_cast<double>(2 * reach + 1);
        smooth[i] = {
            .latitude = sum.latitude / weight,
            .longitude = sum.longitude / weight,
            .altitude = sum.altitude / weight,
        };
    }
    return smooth;
}

// What is wrong with a user's points; empty if nothing.
std::string wrong_with(const std::vector<GeoPoint>& points) {
    if (points.size() < 2) return "fewer than two points";
    if (points.size() > Route::points_max) return "too many points";
    for (const GeoPoint& point : points) {
        if (std::abs(point.latitude) > latitude_max) return "a latitude outside -85 to 85";
        if (std::abs(point.longitude) > 180) return "a longitude outside -180 to 180";
        if (point.altitude < altitude_min || point.altitude > altitude_max) {
            return "an altitude outside -500 to 9000 m";
        }
    }
    double length = 0;
    for (std::size_t i = 1; i < points.size(); ++i) {
        if (std::abs(points[i].longitude - points[i - 1].longitude) > 180) {
            return "crosses the date line";
        }
        length += step_between(points[i - 1], points[i]).length();
    }
    if (length < Route::length_min) return "shorter than 100 m";
    if (length > Route::length_max) return "longer than 5,000 km";
    return {};
}

}  // namespace

Route::Route()
    : Route(shipped_loop(), true) {}

Route::Route(const std::vector<GeoPoint>& points, bool is_loop)
    : is_loop_(is_loop) {
    const std::size_t last = points.size() - 1;
    const auto direction = [&](std::size_t i) {
        const std::size_t before = i > 0 ? i - 1 : is_loop ? last - 1 : 0;
        const std::size_t after = i < last ? i + 1 : is_loop ? 1 : last;
        const Step step = step_between(points[before], points[after]);
        return std::atan2(step.east, step.north);
    };
    nodes_.reserve(points.size());
    nodes_.push_back({
        .distance = 0,
        .place = points[0],
        .heading = direction(0),
        .curvature = 0,
    });
    for (std::size_t i = 1; i <= last; ++i) {
        const Node& before = nodes_[i - 1];
        const double step = step_between(points[i - 1], points[i]).length();
        const double turn = turned(before.heading, direction(i));
        nodes_.push_back({
            .distance = before.distance + step,
            .place = points[i],
            .heading = before.heading + turn,
            .curvature = step > 0 ? -turn / step : 0,  // headings grow clockwise, to the right
        });
    }
    nodes_[0].curvature = is_loop ? nodes_[last].curvature : 0;
    length_ = nodes_.back().distance;
}

Input<Route> Route::along(std::vector<GeoPoint> points, const std::string& name) {
    if (const std::string wrong = wrong_with(points); !wrong.empty()) {
        return InputError{fmt::format("{}: {}", name, wrong)};
    }
    double length = 0;
    for (std::size_t i = 1; i < points.size(); ++i)
        length += step_between(points[i - 1], points[i]).length();
    const bool is_loop = step_between(points.front(), points.back()).length() <= loop_gap_max;
    if (is_loop) points.back() = points.front();
    const double spacing = std::max(spacing_min, length / static_cast<double>(points_max));
    points = evenly_spaced(points, spacing);
    for (int i = 0; i < smoothing_rounds; ++i)
        points = smoothed(points, is_loop);
    Route route{points, is_loop};
    if (route.length_ < length_min / 2) return InputError{name + ": goes nowhere"};
    return route;
}

RoutePoint Route::at(double distance) const {
    double along = std::fmod(distance, is_loop_ ? length_ : 2 * length_);
    const bool is_going_back = along > length_;
    if (is_going_back) along = 2 * length_ - along;
    const auto after = std::upper_bound(
        nodes_.begin() + 1,
        nodes_.end() - 1,
        along,
        [](double wanted, const Node& node) { return wanted < node.distance; }
    );
    const Node& to = *after;
    const Node& from = *(after - 1);
    const double step = to.distance - from.distance;
    const double part = step > 0 ? (along - from.distance) / step : 0;
    const GeoPoint place = between(from.place, to.place, part);
    const double turn = is_going_back ? 180 : 0;
    double heading = std::fmod(std::lerp(from.heading, to.heading, part) * 180 / pi + turn, 360.0);
    if (heading < 0) heading += 360;
    const double sign = is_going_back ? -1 : 1;
    return {
        .latitude = place.latitude,
        .longitude = place.longitude,
        .altitude = place.altitude,
        .heading = heading < 360 ? heading : 0,
        .curvature = sign * std::lerp(from.curvature, to.curvature, part),
        .grade = step > 0 ? sign * (to.place.altitude - from.place.altitude) / step : 0,
    };
}

}  // namespace milepost::fleet
