#include "firmware-sim/drive_cycle.hpp"

#include "sensors/signal.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <vector>

using namespace milepost::fleet;
using namespace std::chrono_literals;
using milepost::sensors::is_plausible;
using milepost::sensors::Signal;

namespace {

const Route& route() {
    static const Route shipped;
    return shipped;
}

// A seed whose vehicle has that drive.
std::uint64_t seed_with(Drive drive) {
    for (std::uint64_t seed = 1;; ++seed) {
        if (DriveCycle{route(), seed}.drive() == drive) return seed;
    }
}

}  // namespace

TEST_CASE("drive cycle: the odometer is the integral of the speed", "[drive_cycle]") {
    for (std::uint64_t seed = 1; seed <= 8; ++seed) {
        INFO(seed);
        DriveCycle cycle{route(), seed};
        const double start = cycle.state().odometer;
        double integral = 0;  // trapezes, m
        double before = cycle.state().speed / 3.6;
        for (int i = 0; i < 20 * 1800; ++i) {
            cycle.advance(DriveCycle::step);
            const double speed = cycle.state().speed / 3.6;
            integral += (before + speed) / 2 * 0.05;
            before = speed;
        }
        CHECK(integral > 5000);
        CHECK(cycle.state().odometer - start == Approx(integral).epsilon(1e-6));
    }
}

TEST_CASE(
    "drive cycle: acceleration is the speed's slope, within what a car can",
    "[drive_cycle]"
) {
    DriveCycle cycle{route(), 3};
    double before = cycle.state().speed / 3.6;
    for (int i = 0; i < 20 * 3600; ++i) {
        cycle.advance(DriveCycle::step);
        const auto& state = cycle.state();
        const double speed = state.speed / 3.6;
        if (speed > 0) {
            REQUIRE(
                (speed - before) / 0.05 == Approx(state.acceleration_longitudinal).margin(1e-6)
            );
        }
        REQUIRE(std::abs(state.acceleration_longitudinal) < 3.2);
        REQUIRE(std::abs(state.acceleration_lateral) < 8);
        before = speed;
    }
}

TEST_CASE(
    "drive cycle: the engine follows the speed, idles at rest, never stalls",
    "[drive_cycle]"
) {
    DriveCycle cycle{route(), seed_with(Drive::petrol)};
    bool has_stood = false;
    bool has_raced = false;
    for (int i = 0; i < 20 * 3600; ++i) {
        cycle.advance(DriveCycle::step);
        const auto& state = cycle.state();
        REQUIRE(state.engine_speed >= 790);
        REQUIRE(state.engine_speed < 4500);
        if (state.speed == 0) {
            has_stood = true;
            REQUIRE(state.engine_speed == 800);
        }
        if (state.speed > 100) {
            has_raced = true;
            REQUIRE(state.engine_speed > 2000);  // 82 rpm per m/s in the sixth gear
        }
    }
    CHECK(has_stood);
    CHECK(has_raced);
}

TEST_CASE("drive cycle: a battery vehicle has no engine speed", "[drive_cycle]") {
    DriveCycle cycle{route(), seed_with(Drive::battery)};
    cycle.advance(10min);
    CHECK(cycle.state().engine_speed == 0);
}

TEST_CASE("drive cycle: coolant and tyres warm up, the tank empties", "[drive_cycle]") {
    DriveCycle cycle{route(), seed_with(Drive::petrol)};
    const DriveState cold = cycle.state();
    CHECK(cold.coolant_temperature == Approx(cold.ambient_temperature).margin(2));
    cycle.advance(5min);
    const double after_five = cycle.state().coolant_temperature;
    CHECK(after_five > cold.coolant_temperature + 5);
    cycle.advance(25min);
    const DriveState warm = cycle.state();
    CHECK(warm.coolant_temperature > 80);
    CHECK(warm.coolant_temperature < 105);
    CHECK(warm.energy_level < cold.energy_level);
    for (std::size_t i = 0; i < warm.tyres.size(); ++i)
        CHECK(warm.tyres[i] > cold.tyres[i]);
    CHECK(warm.battery_voltage == Approx(14.2).margin(0.1));
}

TEST_CASE("drive cycle: every signal stays plausible for two days of driving", "[drive_cycle]") {
    for (std::uint64_t seed = 1; seed <= 4; ++seed) {
        DriveCycle cycle{route(), seed};
        bool has_trouble = false;
        double lowest = 100;
        for (int minute = 0; minute < 2 * 24 * 60; ++minute) {
            cycle.advance(1min);
            const DriveState& state = cycle.state();
            REQUIRE(is_plausible(Signal::speed, state.speed));
            REQUIRE(state.speed >= 0);
            REQUIRE(state.speed < 140);
            REQUIRE(is_plausible(Signal::latitude, state.place.latitude));
            REQUIRE(is_plausible(Signal::longitude, state.place.longitude));
            REQUIRE(is_plausible(Signal::altitude, state.place.altitude));
            REQUIRE(is_plausible(Signal::heading, state.place.heading));
            REQUIRE(is_plausible(Signal::coolant_temperature, state.coolant_temperature));
            REQUIRE(state.energy_level > 0);
            REQUIRE(state.energy_level <= 100);
            for (const double tyre : state.tyres)
                REQUIRE((tyre > 180 && tyre < 320));
            REQUIRE((state.battery_voltage > 12 && state.battery_voltage < 15));
            REQUIRE((state.ambient_temperature > -20 && state.ambient_temperature < 45));
            has_trouble = has_trouble || !state.trouble_codes.empty();
            lowest = std::min(lowest, state.energy_level);
        }
        CHECK(has_trouble);
        CHECK(lowest < 10);  // and was refilled
    }
}

TEST_CASE("drive cycle: a seed gives one drive, however it is cut into steps", "[drive_cycle]") {
    DriveCycle whole{route(), 5};
    DriveCycle pieces{route(), 5};
    DriveCycle other{route(), 6};
    whole.advance(100s);
    other.advance(100s);
    for (int i = 0; i < 1000; ++i)
        pieces.advance(i % 2 == 0 ? 33ms : 167ms);
    CHECK(whole.state().odometer == pieces.state().odometer);
    CHECK(whole.state().place.latitude == pieces.state().place.latitude);
    CHECK(whole.state().odometer != other.state().odometer);
}

TEST_CASE("drive cycle: a trace is driven as it is, second by second", "[drive_cycle]") {
    for (const auto* const name : {"wltp", "nedc", "ftp-75"}) {
        INFO(name);
        const auto trace = SpeedTrace::named(name);
        DriveCycle cycle{route(), 4, {.trace = &*trace}};
        const double start = cycle.state().odometer;
        cycle.advance(950ms);  // with the first step a second
        for (int second = 1; second < trace->seconds(); ++second) {
            REQUIRE(cycle.state().speed == Approx(trace->at(second).speed * 3.6).margin(1e-6));
            cycle.advance(1s);
        }
        const double driven = cycle.state().odometer - start;
        CHECK(driven > 10'000);
        CHECK(driven < 24'000);
    }
}

TEST_CASE("drive cycle: staggered vehicles are at different places of the trace", "[drive_cycle]") {
    const auto trace = SpeedTrace::wltp();
    std::vector<double> speeds;
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
        DriveCycle cycle{route(), seed, {.trace = &trace, .is_staggered = true}};
        speeds.push_back(cycle.state().speed);
    }
    std::sort(speeds.begin(), speeds.end());
    CHECK(speeds.back() > 60);
    CHECK(std::unique(speeds.begin(), speeds.end()) - speeds.begin() > 10);
}

TEST_CASE(
    "drive cycle: the ignition is turned off where the vehicle next stands",
    "[drive_cycle]"
) {
    const auto trace = SpeedTrace::nedc();
    for (const SpeedTrace* const driven : {static_cast<const SpeedTrace*>(nullptr), &trace}) {
        DriveCycle cycle{route(), 5, {.trace = driven, .drive = Drive::petrol}};
        while (cycle.state().speed < 10)
            cycle.advance(1s);
        cycle.turn_ignition(false);
        CHECK(cycle.state().is_ignited);
        cycle.advance(2min);
        const DriveState off = cycle.state();
        CHECK(off.speed == 0);
        CHECK_FALSE(off.is_ignited);
        CHECK(off.engine_speed == 0);
        CHECK(off.battery_voltage == Approx(12.5).margin(0.1));
        cycle.advance(10min);
        CHECK(cycle.state().odometer == off.odometer);
        CHECK(cycle.state().energy_level == off.energy_level);
        CHECK(cycle.state().coolant_temperature < off.coolant_temperature);
        cycle.turn_ignition(true);
        cycle.advance(4min);
        CHECK(cycle.state().odometer > off.odometer + 100);
    }
}

TEST_CASE(
    "drive cycle: a diesel turns slower than a petrol engine at the same speed",
    "[drive_cycle]"
) {
    const auto trace = SpeedTrace::wltp();
    DriveCycle petrol{route(), 5, {.trace = &trace, .drive = Drive::petrol}};
    DriveCycle diesel{route(), 5, {.trace = &trace, .drive = Drive::diesel}};
    petrol.advance(1700s);
    diesel.advance(1700s);
    CHECK(petrol.state().speed == diesel.state().speed);
    CHECK(petrol.state().speed > 100);
    CHECK(diesel.state().engine_speed < 0.8 * petrol.state().engine_speed);
    CHECK(diesel.state().energy_level != petrol.state().energy_level);
}
