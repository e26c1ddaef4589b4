#include "sensors/signal.hpp"

#include <catch2/catch.hpp>

#include <cmath>
#include <limits>
#include <set>
#include <string_view>

using namespace milepost::sensors;

TEST_CASE("signal: every one is found by its name and has a name of its own", "[signal]") {
    std::set<std::string_view> names;
    for (const SignalInfo& entry : signals()) {
        INFO(entry.name);
        CHECK(find_signal(entry.name) == entry.signal);
        CHECK(&info(entry.signal) == &entry);
        CHECK(entry.name.substr(0, 8) == "Vehicle.");
        CHECK(entry.min <= entry.max);
        names.insert(entry.name);
    }
    CHECK(names.size() == signal_count);
}

TEST_CASE("signal: an unknown name, another case or a prefix is none", "[signal]") {
    CHECK_FALSE(find_signal("Vehicle.OBD.Speed"));
    CHECK_FALSE(find_signal("vehicle.speed"));
    CHECK_FALSE(find_signal("Vehicle.Spee"));
    CHECK_FALSE(find_signal(""));
}

TEST_CASE("signal: the bounds are plausible, what is beyond them is not", "[signal]") {
    for (const SignalInfo& entry : signals()) {
        INFO(entry.name);
        CHECK(is_plausible(entry.signal, entry.min));
        CHECK(is_plausible(entry.signal, entry.max));
        CHECK_FALSE(is_plausible(entry.signal, entry.min - 1));
        CHECK_FALSE(is_plausible(entry.signal, entry.max + 1));
        CHECK_FALSE(is_plausible(entry.signal, std::numeric_limits<double>::quiet_NaN()));
    }
}

TEST_CASE("signal: a value is rounded to what is worth sending", "[signal]") {
    CHECK(rounded(Signal::engine_speed, 1234.6) == 1235);
    CHECK(rounded(Signal::speed, 45.236) == 45.24);
    CHECK(rounded(Signal::latitude, 48.12345678) == 48.1234568);
    CHECK_FALSE(std::signbit(rounded(Signal::acceleration_lateral, -0.001)));
}
