#include "firmware-sim/vehicle_clock.hpp"

#include <catch2/catch.hpp>

using namespace milepost;
using namespace milepost::fleet;
using namespace std::chrono_literals;

namespace {

constexpr Timestamp now{1'795'393'770'000};

}  // namespace

TEST_CASE("vehicle clock: it is right until something happens to it", "[clock]") {
    VehicleClock clock;
    CHECK(clock.read(now) == now);
    CHECK(clock.is_set());
}

TEST_CASE("vehicle clock: one that lost the time counts from 1970 until it is told", "[clock]") {
    VehicleClock clock;
    clock.forget(now, 7s);
    CHECK(clock.read(now) == Timestamp{0});
    CHECK(clock.read(now + 6999) == Timestamp{6999});
    CHECK_FALSE(clock.is_set());
    CHECK(clock.read(now + 7000) == now + 7000);
    CHECK(clock.is_set());
    clock.forget(now + 8000, 7s);
    CHECK(clock.read(now + 8001) == Timestamp{1});
    clock.set(now + 9000);
    CHECK(clock.read(now + 9001) == now + 9001);
}

TEST_CASE("vehicle clock: drift adds up until it is told the time", "[clock]") {
    VehicleClock clock;
    clock.drift(now, 1000);
    CHECK(clock.read(now + 10'000) == now + 10'010);
    clock.drift(now + 10'000, -2000);
    CHECK(clock.read(now + 20'000) == now + 20'010 - 20);
    clock.set(now + 20'000);
    CHECK(clock.read(now + 21'000) == now + 20'998);
}
