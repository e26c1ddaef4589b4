#include "firmware-sim/sensor_faults.hpp"

#include "sensors/payload.hpp"
#include "sensors/signal.hpp"
#include "tests/support/matchers.hpp"

#include <catch2/catch.hpp>

#include <set>
#include <string>
#include <vector>

using namespace milepost;
using namespace milepost::fleet;
using sensors::Signal;

namespace {

std::vector<sensors::SignalValue> values_at(double speed) {
    return {{Signal::speed, speed}, {Signal::odometer, 1000 + speed}};
}

}  // namespace

TEST_CASE("sensor faults: a stuck sensor says what it said when it stuck", "[faults]") {
    SensorFaults faults{1};
    faults.stick(Signal::speed);
    for (const double speed : {30, 40, 50}) {
        auto values = values_at(speed);
        faults.apply(values);
        CHECK(values[0].value == 30);
        CHECK(values[1].value == 1000 + speed);
    }
    faults.heal(Signal::speed);
    auto values = values_at(60);
    faults.apply(values);
    CHECK(values == values_at(60));
}

TEST_CASE("sensor faults: a spiking sensor now and then says what cannot be", "[faults]") {
    SensorFaults faults{1};
    faults.spike(Signal::speed, 0.2);
    int spikes = 0;
    for (int i = 0; i < 1000; ++i) {
        auto values = values_at(30);
        faults.apply(values);
        if (values[0].value == 30) continue;
        ++spikes;
        REQUIRE_FALSE(sensors::is_plausible(Signal::speed, values[0].value));
    }
    CHECK(spikes > 150);
    CHECK(spikes < 250);
    faults.heal_all();
    auto values = values_at(30);
    faults.apply(values);
    CHECK(values == values_at(30));
}

TEST_CASE("sensor faults: what is spoiled cannot be taken for a reading", "[faults]") {
    const std::string payload =
        R"({"v":1,"vss":"6.0","vehicle":"V0001","seq":17,"ts":1,"signals":{"Vehicle.Speed":45.2}})";
    Random random{1};
    sensors::PayloadParser parser;
    CHECK(spoiled(Spoiling::none, payload, random) == payload);
    for (const Spoiling how : {Spoiling::truncated, Spoiling::garbage}) {
        std::set<std::string> seen;
        for (int i = 0; i < 500; ++i) {
            const std::string bytes = spoiled(how, payload, random);
            REQUIRE_FALSE(parser.parse_head(as_bytes(bytes)).has_value());
            if (how == Spoiling::truncated) REQUIRE(payload.starts_with(bytes));
            seen.insert(bytes);
        }
        CHECK(seen.size() > 20);
    }
}
