#include "firmware-sim/route.hpp"

#include <catch2/catch.hpp>

#include <cmath>
#include <numbers>

using namespace milepost::fleet;

namespace {

double metres_between(const RoutePoint& a, const RoutePoint& b) {
    const double north = (b.latitude - a.latitude) * 111'320;
    const double east = (b.longitude - a.longitude) * 111'320 *
                        std::cos(a.latitude * std::numbers::pi / 180);
    return std::hypot(north, east);
}

}  // namespace

TEST_CASE("route: ten metres along it are ten metres on the map, in its direction", "[route]") {
    const Route route;
    CHECK(route.length() > 30'000);
    CHECK(route.length() < 60'000);
    for (double at = 0; at < route.length(); at += 97) {
        INFO(at);
        const RoutePoint from = route.at(at);
        const RoutePoint to = route.at(at + 10);
        CHECK(metres_between(from, to) == Approx(10).epsilon(0.02));
        const double east = (to.longitude - from.longitude) *
                            std::cos(from.latitude * std::numbers::pi / 180);
        const double bearing = std::atan2(east, to.latitude - from.latitude) * 180 /
                               std::numbers::pi;
        CHECK(std::abs(std::remainder(bearing - from.heading, 360)) < 6);
        CHECK(from.heading >= 0);
        CHECK(from.heading < 360);
        CHECK(std::abs(from.curvature) < 1.0 / 150);
    }
}

TEST_CASE("route: it is closed", "[route]") {
    const Route route;
    const RoutePoint start = route.at(0);
    const RoutePoint end = route.at(route.length() * 3 - 0.001);
    CHECK(metres_between(start, end) < 0.01);
    CHECK(end.altitude == Approx(start.altitude).margin(0.01));
    CHECK(std::abs(std::remainder(end.heading - start.heading, 360)) < 0.1);
}
