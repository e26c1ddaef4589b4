#include "firmware-sim/route.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numbers>

namespace milepost::fleet {

namespace {

constexpr double pi = std::numbers::pi;
constexpr double centre_latitude = 48.55;  // degrees
constexpr double centre_longitude = 9.20;
constexpr double radius = 6000;  // m, of the circle that the loop winds round
constexpr double metres_per_degree = 111'320;
constexpr std::size_t node_count = 2880;  // one every 14 m or so

// The loop in polar form: a circle whose radius swings. Never crosses itself.
double radius_at(double angle) {
    return radius * (1 + 0.18 * std::sin(3 * angle) + 0.07 * std::sin(7 * angle + 1) +
                     0.015 * std::sin(19 * angle));
}

double altitude_at(double angle) {
    return 560 + 90 * std::sin(2 * angle + 0.5) + 30 * std::sin(5 * angle);
}

// The difference of two directions, between -pi and pi.
double turned(double from, double to) {
    return std::remainder(to - from, 2 * pi);
}

}  // namespace

Route::Route() {
    nodes_.reserve(node_count + 1);
    for (std::size_t i = 0; i <= node_count; ++i) {
        const double angle = 2 * pi * static_cast<double>(i) / static_cast<double>(node_count);
        nodes_.push_back({
            .distance = 0,
            .east = radius_at(angle) * std::cos(angle),
            .north = radius_at(angle) * std::sin(angle),
            .altitude = altitude_at(angle),
            .heading = 0,
            .curvature = 0,
        });
    }
    const auto direction = [this](std::size_t i) {
        const Node& before = nodes_[i == 0 ? node_count - 1 : i - 1];
        const Node& after = nodes_[i == node_count ? 1 : i + 1];
        return std::atan2(after.east - before.east, after.north - before.north);
    };
    nodes_[0].heading = direction(0);
    for (std::size_t i = 1; i <= node_count; ++i) {
        Node& node = nodes_[i];
        const Node& before = nodes_[i - 1];
        const double step = std::hypot(node.east - before.east, node.north - before.north);
        const double turn = turned(before.heading, direction(i));
        node.distance = before.distance + step;
        node.heading = before.heading + turn;
        node.curvature = -turn / step;  // headings grow clockwise, to the right
    }
    nodes_[0].curvature = nodes_[node_count].curvature;
    length_ = nodes_.back().distance;
}

RoutePoint Route::at(double distance) const {
    const double along = std::fmod(distance, length_);
    const auto after = std::upper_bound(
        nodes_.begin() + 1,
        nodes_.end() - 1,
        along,
        [](double wanted, const Node& node) { return wanted < node.distance; }
    );
    const Node& to = *after;
    const Node& from = *(after - 1);
    const double part = (along - from.distance) / (to.distance - from.distance);
    const double latitude = centre_latitude +
                            std::lerp(from.north, to.north, part) / metres_per_degree;
    const double degree_east = metres_per_degree * std::cos(latitude * pi / 180);
    double heading = std::fmod(std::lerp(from.heading, to.heading, part) * 180 / pi, 360.0);
    if (heading < 0) heading += 360;
    return {
        .latitude = latitude,
        .longitude = centre_longitude + std::lerp(from.east, to.east, part) / degree_east,
        .altitude = std::lerp(from.altitude, to.altitude, part),
        .heading = heading < 360 ? heading : 0,
        .curvature = std::lerp(from.curvature, to.curvature, part),
    };
}

}  // namespace milepost::fleet
