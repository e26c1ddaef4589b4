// What a turn of the event loop takes along, and that nobody else waits long for it.
#include "tests/component/front_door/door.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <memory>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include <sys/socket.h>

namespace milepost {

using test::Device;
using test::Door;
using test::FoldingKeeper;
using test::ForgetfulDisk;

namespace {

// More than the poller gives at one look.
constexpr std::size_t crowd = listener::Poller::events_max + 44;

std::vector<std::unique_ptr<Device>> connected_crowd(Door& door) {
    std::vector<std::unique_ptr<Device>> devices;
    for (std::size_t i = 0; i < crowd; ++i) {
        devices.push_back(std::make_unique<Device>(door));
        devices.back()->connect("d" + std::to_string(i), /*clean=*/true);
    }
    return devices;
}

std::uint64_t groups_of_one_publish_each(Door& door) {
    const auto devices = connected_crowd(door);
    devices[0]->publish(1, "before");
    REQUIRE(devices[0]->takes(Device::puback(1)));
    const std::uint64_t before = door.log->stats().groups.value();
    for (const auto& device : devices)
        device->publish(1, "x");
    for (const auto& device : devices)
        REQUIRE(device->hears(Device::puback(1)));
    CHECK(door.values().size() == crowd + 1);
    return door.log->stats().groups.value() - before;
}

}  // namespace

TEST_CASE("front door: who is ready by the end of a turn is in its group", "[front_door]") {
    ForgetfulDisk disk;
    FoldingKeeper keeper;
    Door door{disk, keeper};
    CHECK(groups_of_one_publish_each(door) == 1);
}

TEST_CASE("front door: with the syncs on another thread a turn is one look", "[front_door]") {
    ForgetfulDisk disk;
    FoldingKeeper keeper;
    Door door{disk, keeper, {.committer = storage::CommitterThread::always_own}};
    CHECK(groups_of_one_publish_each(door) == 2);
}

TEST_CASE("front door: a flood lets the rest of the loop in after a few turns", "[front_door]") {
    constexpr std::uint64_t turns_on_end_max = 4;
    ForgetfulDisk disk;
    FoldingKeeper keeper;
    Door door{disk, keeper};
    Device device{door};
    device.connect("flood", /*clean=*/true);
    // Publishes of QoS 0, so that nothing but the loop slows them down.
    std::string many;
    for (int i = 0; i < 1000; ++i) {
        std::string one = Device::publish_packet(0, std::string(80, 'x'), /*retain=*/false);
        many += '\x30' + one.substr(1);
    }
    device.floods(many);
    std::uint64_t most = 0;
    for (int handlers = 0; handlers < 200; ++handlers) {
        device.floods_on();
        const std::uint64_t before = door.log->stats().groups.value();
        door.io.restart();
        door.io.run_one();
        most = std::max(most, door.log->stats().groups.value() - before);
    }
    CHECK(most > 1);
    CHECK(most <= turns_on_end_max);
}

}  // namespace milepost
