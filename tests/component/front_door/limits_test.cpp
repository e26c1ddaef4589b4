// What one device, or one address, may take: each limit holds, is counted, and touches nobody else.
#include "tests/component/front_door/door.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace milepost {

using test::Device;
using test::Door;
using test::FoldingKeeper;
using test::ForgetfulDisk;

namespace {

constexpr auto soon = std::chrono::seconds{1};

std::string publishes(std::uint16_t first, std::uint16_t count) {
    std::string all;
    for (std::uint16_t i = 0; i < count; ++i)
        all += Device::publish_packet(static_cast<std::uint16_t>(first + i), "x", false);
    return all;
}

}  // namespace

TEST_CASE("front door: an address has no more connections than it may", "[front_door][limits]") {
    ForgetfulDisk disk;
    FoldingKeeper keeper;
    Door door{disk, keeper, {.change = [](auto& options) {
                  options.connections_per_address_max = 2;
              }}};
    Device first{door};
    first.connect("1", /*clean=*/true);
    {
        Device second{door};
        second.connect("2", /*clean=*/true);
        Device third{door};
        CHECK(third.is_closed());
        CHECK(door.listener->stats().refused_by_address.value() == 1);
    }
    CHECK(door.turn_until([&] { return door.listener->stats().connections.value() == 1; }));
    Device fourth{door};
    fourth.connect("4", /*clean=*/true);
}

TEST_CASE("front door: who publishes too fast is read more slowly", "[front_door][limits]") {
    ForgetfulDisk disk;
    FoldingKeeper keeper;
    Door door{disk, keeper, {.change = [](auto& options) {
                  options.messages_per_s_max = 10;
              }}};
    Device flood{door};
    flood.connect("flood", /*clean=*/true);
    // More than the bucket holds: it is read, owed for, and the next ones have to wait.
    flood.send(publishes(1, 15));
    REQUIRE(flood.takes(Device::puback(15)));
    CHECK(door.turn_until([&] { return door.listener->stats().rate_pauses.value() == 1; }));
    const auto began = std::chrono::steady_clock::now();
    flood.publish(16, "late");
    Device other{door};
    other.connect("other", /*clean=*/true);
    other.publish(1, "other");
    CHECK(other.takes(Device::puback(1)));
    CHECK(flood.heard().find(Device::puback(16)) == std::string::npos);
    CHECK(flood.takes(Device::puback(16)));
    CHECK(std::chrono::steady_clock::now() - began >= std::chrono::milliseconds{250});
}

TEST_CASE("front door: who does not read its acks is closed", "[front_door][limits]") {
    ForgetfulDisk disk;
    FoldingKeeper keeper;
    Door door{disk, keeper, {.change = [](auto& options) {
                  options.write_timeout = soon;
                  options.unsent_bytes_max = 1024;
              }}};
    Device deaf{door};
    deaf.connect("deaf", /*clean=*/true);
    std::string pings;
    for (int i = 0; i < 2048; ++i)
        pings += std::string{"\xC0\0", 2};
    deaf.floods(pings);
    CHECK(door.turn_until([&] {
        deaf.floods_on();
        return door.listener->stats().write_timeouts.value() == 1;
    }));
    CHECK(door.turn_until([&] { return door.listener->stats().connections.value() == 0; }));
}

TEST_CASE("front door: what sessions remember of publishes is bounded", "[front_door][limits]") {
    ForgetfulDisk disk;
    FoldingKeeper keeper;
    Door door{disk, keeper, {.change = [](auto& options) {
                  options.publish_memory_bytes_max = 10 * sizeof(listener::Remembered);
              }}};
    Device device{door};
    device.connect("V1", /*clean=*/false);
    device.send(publishes(1, 15));
    REQUIRE(device.takes(Device::puback(15)));
    const auto& stats = door.listener->stats();
    CHECK(stats.short_windows.value() == 5);
    CHECK(stats.publish_memory_bytes.value() == 10 * sizeof(listener::Remembered));
    // The youngest are still known.
    std::string again = Device::publish_packet(15, "x", false);
    again[0] = static_cast<char>(again[0] | 8);  // DUP
    device.send(again);
    REQUIRE(device.takes(Device::puback(15)));
    CHECK(door.intake->stats().rejected_duplicate.value() == 1);
    // The memory goes with the session.
    Device clean{door};
    clean.connect("V1", /*clean=*/true);
    CHECK(door.turn_until([&] { return stats.publish_memory_bytes.value() == 0; }));
}

TEST_CASE("front door: a connection without CONNECT is closed in time", "[front_door][limits]") {
    ForgetfulDisk disk;
    FoldingKeeper keeper;
    Door door{disk, keeper, {.change = [](auto& options) {
                  options.connect_timeout = soon;
              }}};
    Device slow{door};
    slow.send("\x10");
    CHECK(slow.is_closed());
    CHECK(door.listener->stats().connect_timeouts.value() == 1);
}

TEST_CASE(
    "front door: one reading does not wait for all that others have under way",
    "[front_door][limits]"
) {
    constexpr std::size_t crowd_size = 60;
    constexpr std::uint16_t burst = 300;
    ForgetfulDisk disk;
    FoldingKeeper keeper;
    Door door{disk, keeper, {.ring_bytes = 32 * mib, .change = [](auto& options) {
                                 options.limits.in_flight_publishes_max = 2 * burst;
                             }}};
    std::vector<std::unique_ptr<Device>> crowd;
    for (std::size_t i = 0; i < crowd_size; ++i) {
        crowd.push_back(std::make_unique<Device>(door));
        crowd.back()->connect("crowd" + std::to_string(i), /*clean=*/true);
    }
    Device light{door};
    light.connect("light", /*clean=*/true);
    const auto bursts = [&](std::uint16_t first) {
        for (const auto& device : crowd)
            device->send(publishes(first, burst));
    };
    // So that they are known for it.
    bursts(1);
    for (const auto& device : crowd)
        REQUIRE(device->takes(Device::puback(burst)));
    const auto before = door.log->stats().records.value();
    bursts(burst + 1);
    light.publish(1, "x");
    REQUIRE(light.takes(Device::puback(1)));
    CHECK(door.log->stats().records.value() - before < crowd_size * burst / 2);
    for (const auto& device : crowd)
        CHECK(device->takes(Device::puback(2 * burst)));
    CHECK(door.log->stats().records.value() - before == crowd_size * burst + 1);
}

TEST_CASE(
    "front door: who sends much is pinged while nothing is taken in",
    "[front_door][limits]"
) {
    constexpr std::uint16_t burst = 150;
    const std::string ping{"\xc0\0", 2};
    const std::string pong{"\xd0\0", 2};
    ForgetfulDisk disk;
    FoldingKeeper keeper;
    Door door{disk, keeper, {.change = [](auto& options) {
                  options.limits.in_flight_publishes_max = 2 * burst;
              }}};
    std::vector<std::unique_ptr<Device>> crowd;
    for (std::size_t i = 0; i < 30; ++i) {
        crowd.push_back(std::make_unique<Device>(door));
        crowd.back()->connect("crowd" + std::to_string(i), /*clean=*/true);
    }
    Device light{door};
    light.connect("light", /*clean=*/true);
    disk.fail(test::DiskCall::write, 1, {.for_ever = true});  // no segment: the ring stays full
    std::string bytes;
    for (std::uint16_t i = 1; i <= burst; ++i)
        bytes += Device::publish_packet(i, std::string(90, 'x'), false);
    const auto is_closed = [&] {
        return door.log->intake() != storage::IntakeState::open;
    };
    for (int round = 0; round < 100 && !is_closed(); ++round) {
        for (const auto& device : crowd) {
            device->forget();
            device->send(bytes);
        }
        REQUIRE(door.turn_until([&] {
            light.send(ping);
            return is_closed() || std::all_of(crowd.begin(), crowd.end(), [](const auto& device) {
                       return device->heard().find(Device::puback(burst)) != std::string::npos;
                   });
        }));
    }
    REQUIRE(is_closed());
    // Nobody else's traffic need wake the loop for it.
    const bool others_go_on = GENERATE(true, false);
    CAPTURE(others_go_on);
    for (const auto& device : crowd)
        device->send(ping);
    CHECK(door.turn_until([&] {
        if (others_go_on) light.send(ping);
        return crowd.front()->heard().find(pong) != std::string::npos;
    }));
    disk.clear_faults();
}

}  // namespace milepost
