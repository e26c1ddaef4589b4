#include "firmware-sim/speed_trace.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <cmath>
#include <string>

using namespace milepost::fleet;

namespace {

double distance_of(const SpeedTrace& trace) {  // m
    double distance = 0;
    const auto& points = trace.points();
    for (std::size_t i = 1; i < points.size(); ++i) {
        distance += (points[i].speed + points[i - 1].speed) / 2 *
                    (points[i].seconds - points[i - 1].seconds);
    }
    return distance;
}

double top_speed_of(const SpeedTrace& trace) {  // km/h
    double top = 0;
    for (const auto& point : trace.points())
        top = std::max(top, point.speed * 3.6);
    return top;
}

std::string error_of(const std::string& text) {
    const auto parsed = SpeedTrace::parse_csv(text, "f");
    REQUIRE(std::holds_alternative<InputError>(parsed));
    return std::get<InputError>(parsed).what;
}

}  // namespace

// Length, distance and top speed as the regulations and the literature give them.
TEST_CASE("speed trace: the standards' cycles are as long and as far as published", "[trace]") {
    const auto wltp = SpeedTrace::wltp();
    CHECK(wltp.seconds() == 1800);
    CHECK(distance_of(wltp) == Approx(23'266).margin(1));
    CHECK(top_speed_of(wltp) == Approx(131.3));
    const auto nedc = SpeedTrace::nedc();
    CHECK(nedc.seconds() == 1180);
    CHECK(distance_of(nedc) == Approx(11'013).margin(10));
    CHECK(top_speed_of(nedc) == Approx(120));
    const auto ftp = SpeedTrace::ftp_75();
    CHECK(ftp.seconds() == 1369 + 600 + 505);
    CHECK(distance_of(ftp) == Approx(17'770).epsilon(0.002));  // 11.04 miles
    CHECK(top_speed_of(ftp) == Approx(56.7 * 1.609344));
}

TEST_CASE(
    "speed trace: every cycle can be driven by a car, and begins and ends at rest",
    "[trace]"
) {
    for (const auto* const name : {"wltp", "nedc", "ftp-75"}) {
        INFO(name);
        const auto trace = SpeedTrace::named(name);
        REQUIRE(trace.has_value());
        CHECK(trace->points().front().speed == 0);
        CHECK(trace->points().back().speed == 0);
        for (double seconds = 0; seconds < trace->seconds(); seconds += 0.5) {
            const double slope = (trace->at(seconds + 0.5).speed - trace->at(seconds).speed) / 0.5;
            REQUIRE(std::abs(slope) < 2.5);
        }
        CHECK(trace->at(trace->seconds() + 100.25).speed == trace->at(100.25).speed);
    }
    CHECK_FALSE(SpeedTrace::named("WLTP"));
}

TEST_CASE("speed trace: FTP-75 stands ten minutes with the engine off", "[trace]") {
    const auto ftp = SpeedTrace::ftp_75();
    CHECK(ftp.at(1368.5).is_ignited);
    CHECK_FALSE(ftp.at(1369).is_ignited);
    CHECK_FALSE(ftp.at(1968.9).is_ignited);
    CHECK(ftp.at(1969).is_ignited);
    CHECK(ftp.at(1969 + 240).speed == ftp.at(240).speed);
}

TEST_CASE("speed trace: a file's lines are points, with the ignition if it has it", "[trace]") {
    const auto parsed = SpeedTrace::parse_csv(
        "time,speed,ignition\r\n0,0,1\n# up\n4;36;1\n\n10 0 0\n20,0,1\n",
        "f"
    );
    REQUIRE(std::holds_alternative<SpeedTrace>(parsed));
    const auto& trace = std::get<SpeedTrace>(parsed);
    CHECK(trace.seconds() == 20);
    CHECK(trace.at(2).speed == Approx(5));
    CHECK(trace.at(24).speed == Approx(10));
    CHECK(trace.at(9.9).is_ignited);
    CHECK_FALSE(trace.at(10).is_ignited);
}

TEST_CASE("speed trace: what cannot be driven is refused, with its line", "[trace]") {
    CHECK(error_of("") == "f: fewer than two points");
    CHECK(error_of("0,0\n") == "f: fewer than two points");
    CHECK(error_of("0,0\nx,1\n") == "f:2: not seconds,km/h[,ignition]");
    CHECK(error_of("0,0\n1\n") == "f:2: not seconds,km/h[,ignition]");
    CHECK(error_of("1,0\n2,0\n") == "f:1: the first second is not 0");
    CHECK(error_of("0,0\n1,1\n1,2\n") == "f:3: the seconds do not rise");
    CHECK(error_of("0,0\n1,-1\n") == "f:2: a speed outside 0 to 300 km/h");
    CHECK(error_of("0,0\n100,301\n") == "f:2: a speed outside 0 to 300 km/h");
    CHECK(error_of("0,0\n1,100\n") == "f:2: no car changes its speed so fast");
    CHECK(error_of("0,0,2\n") == "f:1: an ignition not 0 or 1");
    CHECK(error_of("0,0\n9,9,0\n") == "f:2: driven without ignition");
    CHECK(error_of("0,0\n9e9,0\n") == "f:2: longer than seven days");
    CHECK(error_of("0,0\n9,9\n") == "f: does not begin and end at rest, and is driven in rounds");
}
