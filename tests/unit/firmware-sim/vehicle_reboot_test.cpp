#include "firmware-sim/vehicle.hpp"
#include "sensors/payload.hpp"
#include "tests/support/matchers.hpp"

#include <catch2/catch.hpp>

#include <map>
#include <string>
#include <vector>

using namespace milepost;
using namespace milepost::fleet;
using namespace std::chrono_literals;
using sensors::Signal;

namespace {

constexpr Timestamp start{1'795'393'770'000};
using Numbers = std::vector<std::uint64_t>;

const Route& route() {
    static const Route shipped;
    return shipped;
}

VehicleSetup setup() {
    VehicleSetup setup{.id = *sensors::VehicleId::parse("V0001")};
    setup.firmware = find_firmware("2.0.0");
    return setup;
}

// The reading that waits, which is taken out.
sensors::Reading take(Vehicle& vehicle) {
    const auto* const entry = vehicle.next_publish();
    REQUIRE(entry != nullptr);
    sensors::PayloadParser parser;
    auto reading = parser.parse(as_bytes(entry->payload));
    REQUIRE(reading.has_value());
    vehicle.mark_published();
    vehicle.settle(reading->head.seq);
    return *reading;
}

bool has(const sensors::Reading& reading, Signal signal) {
    for (const auto& value : reading.values) {
        if (value.signal == signal) return true;
    }
    return false;
}

}  // namespace

TEST_CASE("vehicle: a reboot loses what is in memory and keeps what is in the flash", "[vehicle]") {
    VehicleSetup with_flash = setup();
    with_flash.flash_max = 3;
    Vehicle vehicle{route(), with_flash};
    for (int second = 0; second < 8; ++second)
        vehicle.sample(start + second * 1000);  // stored at 0 s, before there was one, and at 5 s
    vehicle.connected(false, 10);
    vehicle.mark_published();
    CHECK(vehicle.settle(1));
    CHECK(vehicle.reboot(start + 8000, 2s) == Numbers{4, 5, 6, 7, 8});
    CHECK(vehicle.next_publish() == nullptr);  // no connection any more
    CHECK(vehicle.sample(start + 9000).seq == 0);
    CHECK(vehicle.sample(start + 10'000).seq == 9);  // no number is used twice
    vehicle.connected(false, 10);
    CHECK(take(vehicle).head.seq == 2);
    CHECK(take(vehicle).head.seq == 3);
    const auto after = take(vehicle);
    CHECK(after.firmware->boot == 2);
    CHECK(has(after, Signal::tyre_front_left));  // begins with all it has
    CHECK(after.ignition == sensors::Ignition::on);
}

TEST_CASE("vehicle: an update changes the payload's version with the reboot", "[vehicle]") {
    VehicleSetup old = setup();
    old.firmware = find_firmware("1.4.0");
    Vehicle vehicle{route(), old};
    vehicle.sample(start);
    vehicle.connected(false, 10);
    CHECK_FALSE(take(vehicle).firmware.has_value());
    vehicle.install(*find_firmware("2.0.0"));
    vehicle.reboot(start + 1, 0ms);
    vehicle.sample(start + 1000);
    vehicle.connected(false, 10);
    const auto reading = take(vehicle);
    REQUIRE(reading.firmware.has_value());
    CHECK(reading.firmware->release == "2.0.0");
    CHECK(reading.head.seq == 2);
}

TEST_CASE("vehicle: without a clock of its own it begins in 1970 until it is told", "[vehicle]") {
    VehicleSetup poor = setup();
    poor.has_rtc = false;
    Vehicle vehicle{route(), poor};
    vehicle.connected(false, 100);
    int unset = 0;
    for (int second = 0; second < 25; ++second) {
        const Timestamp now = start + second * 1000;
        vehicle.sample(now);
        const auto reading = take(vehicle);
        const bool is_set = reading.firmware->is_clock_set;
        CHECK(reading.head.time == (is_set ? now : Timestamp{second * 1000}));
        if (!is_set) ++unset;
        if (unset < second) CHECK(is_set);  // once told, it stays
    }
    CHECK(unset >= 5);
    CHECK(unset <= 20);
}

TEST_CASE("vehicle: with own rates each sensor comes as often as it is read", "[vehicle]") {
    VehicleSetup rich = setup();
    rich.has_own_rates = true;
    Vehicle vehicle{route(), rich};
    vehicle.connected(false, 10);
    std::map<Signal, int> count;
    int codes = 0;
    int ignitions = 0;
    for (int i = 0; i < 600; ++i) {
        REQUIRE(vehicle.sample(start + i * 100).seq == static_cast<std::uint64_t>(i) + 1);
        const auto reading = take(vehicle);
        for (const auto& value : reading.values)
            ++count[value.signal];
        codes += reading.trouble_codes ? 1 : 0;
        ignitions += reading.ignition ? 1 : 0;
    }
    CHECK(count[Signal::acceleration_vertical] == 600);
    CHECK(count[Signal::speed] == 60);
    CHECK(count[Signal::latitude] == 60);
    CHECK(count[Signal::odometer] == 60);
    CHECK(count[Signal::tyre_rear_left] == 6);
    CHECK(codes >= 6);
    CHECK(ignitions == 6);
}

TEST_CASE("vehicle: with the ignition off it says so at once, then sleeps", "[vehicle]") {
    const auto parsed = SpeedTrace::parse_csv("0,0,1\n10,0,0\n60,0,1\n70,0,1\n", "f");
    VehicleSetup parked = setup();
    parked.has_own_rates = true;
    parked.drive.trace = &std::get<SpeedTrace>(parsed);
    parked.drive.drive = Drive::diesel;
    Vehicle vehicle{route(), parked};
    vehicle.connected(false, 10);
    std::vector<std::int64_t> sampled_off;
    for (int i = 0; i < 700; ++i) {
        if (vehicle.sample(start + i * 100).seq == 0) continue;
        const auto reading = take(vehicle);
        if (reading.ignition == sensors::Ignition::off) sampled_off.push_back(i / 10);
        CHECK(has(reading, Signal::acceleration_vertical) == (i < 100 || i > 599));
    }
    // Turned off at 10 s; the slow sensors go on.
    CHECK(sampled_off == std::vector<std::int64_t>{10, 20, 30, 40, 50});
}

TEST_CASE("vehicle: a spoiled reading is no longer one", "[vehicle]") {
    Vehicle vehicle{route(), setup()};
    vehicle.spoil(Spoiling::truncated, 1);
    const auto sampled = vehicle.sample(start);
    CHECK(sampled.seq == 1);
    CHECK(sampled.spoiling == Spoiling::truncated);
    CHECK(vehicle.outstanding() == 0);
    vehicle.spoil(Spoiling::none, 0);
    CHECK(vehicle.sample(start + 1000).seq == 2);
    CHECK(vehicle.outstanding() == 1);
}
