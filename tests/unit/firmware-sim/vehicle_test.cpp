#include "firmware-sim/vehicle.hpp"

#include "sensors/payload.hpp"
#include "tests/support/matchers.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <string>
#include <vector>

using namespace milepost;
using namespace milepost::fleet;

namespace {

constexpr Timestamp start{1'795'393'770'000};

const Route& route() {
    static const Route shipped;
    return shipped;
}

Vehicle vehicle_with(std::uint64_t seed, std::size_t readings_max = 10'000) {
    return {
        route(),
        {.id = *sensors::VehicleId::parse("V0001"),
         .seed = seed,
         .first_seq = 1,
         .readings_max = readings_max,
         .drive = {}}};
}

// Hands over what may go; the numbers in order.
std::vector<std::uint64_t> publish_all(Vehicle& vehicle) {
    std::vector<std::uint64_t> seqs;
    while (const auto* entry = vehicle.next_publish()) {
        seqs.push_back(entry->seq);
        vehicle.mark_published();
    }
    return seqs;
}

std::vector<std::string> payloads_of(Vehicle vehicle, int count, std::int64_t every_ms) {
    std::vector<std::string> payloads;
    vehicle.connected(false, 1);
    for (int i = 0; i < count; ++i) {
        vehicle.sample(start + i * every_ms);
        payloads.push_back(vehicle.next_publish()->payload);
        vehicle.mark_published();
        vehicle.settle(vehicle.next_publish() == nullptr ? static_cast<std::uint64_t>(i) + 1 : 0);
    }
    return payloads;
}

bool has(const sensors::Reading& reading, sensors::Signal signal) {
    return std::any_of(reading.values.begin(), reading.values.end(), [signal](const auto& value) {
        return value.signal == signal;
    });
}

}  // namespace

TEST_CASE("vehicle: the same seed and times give the same bytes", "[vehicle]") {
    const auto once = payloads_of(vehicle_with(42), 500, 100);
    CHECK(once == payloads_of(vehicle_with(42), 500, 100));
    CHECK(once != payloads_of(vehicle_with(43), 500, 100));
}

TEST_CASE("vehicle: every payload is read back, counted and stamped", "[vehicle]") {
    sensors::PayloadParser parser;
    const auto payloads = payloads_of(vehicle_with(42), 300, 1000);
    for (std::size_t i = 0; i < payloads.size(); ++i) {
        const auto reading = parser.parse(as_bytes(payloads[i]));
        REQUIRE(reading.has_value());
        CHECK(reading->head.vehicle.text() == "V0001");
        CHECK(reading->head.seq == i + 1);
        CHECK(reading->head.time == start + static_cast<std::int64_t>(i) * 1000);
        for (const auto& [signal, value] : reading->values) {
            INFO(sensors::info(signal).name << ' ' << value);
            CHECK(sensors::is_plausible(signal, value));
        }
    }
}

TEST_CASE("vehicle: slow signals come seldom, the first reading has all", "[vehicle]") {
    sensors::PayloadParser parser;
    const auto payloads = payloads_of(vehicle_with(42), 201, 100);
    for (std::size_t i = 0; i < payloads.size(); ++i) {
        INFO(i);
        const auto reading = parser.parse(as_bytes(payloads[i]));
        REQUIRE(reading.has_value());
        CHECK(has(*reading, sensors::Signal::speed));
        CHECK(has(*reading, sensors::Signal::odometer) == (i % 10 == 0));
        CHECK(has(*reading, sensors::Signal::tyre_rear_left) == (i % 100 == 0));
        if (i % 100 == 0) CHECK(reading->trouble_codes.has_value());
    }
}

TEST_CASE("vehicle: nothing is published before it is connected, then all in order", "[vehicle]") {
    Vehicle vehicle = vehicle_with(1);
    for (int i = 0; i < 3; ++i)
        vehicle.sample(start + i);
    CHECK(vehicle.next_publish() == nullptr);
    vehicle.connected(false, 2);
    CHECK(publish_all(vehicle) == std::vector<std::uint64_t>{1, 2});
    CHECK(vehicle.settle(1));
    CHECK(publish_all(vehicle) == std::vector<std::uint64_t>{3});
    CHECK(vehicle.outstanding() == 2);
}

TEST_CASE(
    "vehicle: with the session kept, what is in flight is the link's to resend",
    "[vehicle]"
) {
    Vehicle vehicle = vehicle_with(1);
    vehicle.connected(false, 10);
    for (int i = 0; i < 3; ++i)
        vehicle.sample(start + i);
    publish_all(vehicle);
    vehicle.disconnected();
    vehicle.sample(start + 3);
    CHECK(vehicle.next_publish() == nullptr);
    vehicle.connected(true, 10);
    CHECK(publish_all(vehicle) == std::vector<std::uint64_t>{4});
    CHECK(vehicle.settle(1));
    CHECK_FALSE(vehicle.settle(1));
}

TEST_CASE(
    "vehicle: with the session lost, all in flight is published anew, in order",
    "[vehicle]"
) {
    Vehicle vehicle = vehicle_with(1);
    vehicle.connected(false, 10);
    for (int i = 0; i < 3; ++i)
        vehicle.sample(start + i);
    publish_all(vehicle);
    CHECK(vehicle.settle(2));
    vehicle.disconnected();
    vehicle.sample(start + 3);
    vehicle.connected(false, 10);
    CHECK(publish_all(vehicle) == std::vector<std::uint64_t>{1, 3, 4});
}

TEST_CASE("vehicle: a full buffer drops the oldest that waits and says which", "[vehicle]") {
    Vehicle vehicle = vehicle_with(1, 2);
    CHECK_FALSE(vehicle.sample(start).dropped);
    CHECK_FALSE(vehicle.sample(start + 1).dropped);
    CHECK(vehicle.sample(start + 2).dropped == 1U);
    CHECK(vehicle.outstanding() == 2);
    vehicle.connected(false, 10);
    CHECK(publish_all(vehicle) == std::vector<std::uint64_t>{2, 3});
}
