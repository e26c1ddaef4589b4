// The front door as it is wired in the product, on real sockets and a disk that forgets what was
// not synced: what a PUBACK is worth.
#include "gateway/front_door.hpp"

#include "tests/component/front_door/door.hpp"

#include <atomic>
#include <set>
#include <string>
#include <thread>

namespace milepost {

namespace {

using storage::IntakeState;
using test::Device;
using test::DiskCall;
using test::Door;
using test::FoldingKeeper;
using test::ForgetfulDisk;

}  // namespace

TEST_CASE("front door: what has its PUBACK survives a power cut", "[front_door]") {
    ForgetfulDisk disk{GENERATE(1U, 2U, 3U)};
    FoldingKeeper keeper;
    std::multiset<std::string> acked;
    {
        Door door{disk, keeper};
        Device device{door};
        device.connect("dev", /*clean=*/true);
        for (std::uint16_t i = 1; i <= 20; ++i) {
            const std::string value = "reading-" + std::to_string(i);
            device.publish(i, value);
            REQUIRE(device.hears(Device::puback(i)));
            acked.insert(value);
        }
        disk.power_cut();
    }
    Door door{disk, keeper};
    CHECK(door.values() == acked);
}

// The alarm works: with a disk whose sync says "done" and keeps nothing, the test above would fail.
TEST_CASE("front door: without the sync a power cut loses what was acknowledged", "[front_door]") {
    std::size_t lost = 0;
    for (std::uint64_t seed = 1; seed <= 10; ++seed) {
        ForgetfulDisk disk{seed};
        FoldingKeeper keeper;
        {
            Door door{disk, keeper};
            Device device{door};
            device.connect("dev", /*clean=*/true);
            disk.fail(DiskCall::overwrite, 1, {.for_ever = true, .lies = true});
            disk.fail(DiskCall::sync, 1, {.for_ever = true, .lies = true});
            for (std::uint16_t i = 1; i <= 5; ++i) {
                device.publish(i, "reading");
                REQUIRE(device.hears(Device::puback(i)));
            }
            disk.power_cut();
        }
        disk.clear_faults();
        Door door{disk, keeper};
        lost += 5 - door.values().size();
    }
    CHECK(lost > 0);
}

TEST_CASE("front door: after a failed sync no PUBACK leaves, and intake says why", "[front_door]") {
    ForgetfulDisk disk;
    FoldingKeeper keeper;
    Door door{disk, keeper};
    Device device{door};
    device.connect("dev", /*clean=*/true);
    device.publish(1, "before");
    REQUIRE(device.hears(Device::puback(1)));
    disk.fail(DiskCall::overwrite, 1, {.for_ever = true});
    for (std::uint16_t i = 2; i <= 10; ++i)
        device.publish(i, "after");
    REQUIRE(door.turn_until([&] { return door.log->intake() == IntakeState::sync_failed; }));
    door.turn_until_idle();
    CHECK(device.heard().find(Device::puback(2)) == std::string::npos);
    CHECK(door.log->intake_reason().find("durable") != std::string::npos);
    CHECK(door.values() == std::multiset<std::string>{"before"});
}

TEST_CASE("front door: acks leave in the order of the publishes", "[front_door]") {
    ForgetfulDisk disk;
    FoldingKeeper keeper;
    Door door{disk, keeper};
    Device device{door};
    device.connect("dev", /*clean=*/true);
    std::string burst;
    std::string acks;
    for (std::uint16_t i = 1; i <= 200; ++i) {
        burst += Device::publish_packet(i, "x", /*retain=*/false);
        acks += Device::puback(i);
    }
    device.send(burst);
    CHECK(device.hears(acks));
}

TEST_CASE("front door: a stuck device does not delay another", "[front_door]") {
    ForgetfulDisk disk;
    FoldingKeeper keeper;
    Door door{disk, keeper};
    Device stuck{door};
    stuck.connect("stuck", /*clean=*/true);
    std::string half = Device::publish_packet(1, std::string(90, 'x'), /*retain=*/false);
    half.resize(half.size() / 2);
    stuck.send(half);
    Device other{door};
    other.connect("other", /*clean=*/true);
    other.publish(7, "y");
    CHECK(other.hears(Device::puback(7)));
}

TEST_CASE("front door: a kept session is present after a power cut", "[front_door]") {
    ForgetfulDisk disk;
    FoldingKeeper keeper;
    {
        Door door{disk, keeper};
        Device device{door};
        device.connect("kept", /*clean=*/false, /*expect_present=*/false);
        disk.power_cut();
    }
    Door door{disk, keeper};
    Device device{door};
    device.connect("kept", /*clean=*/false, /*expect_present=*/true);
}

TEST_CASE("front door: the same client id again closes the first connection", "[front_door]") {
    ForgetfulDisk disk;
    FoldingKeeper keeper;
    Door door{disk, keeper};
    Device first{door};
    first.connect("twin", /*clean=*/true);
    Device second{door};
    second.connect("twin", /*clean=*/true);
    CHECK(first.is_closed());
    second.publish(1, "still here");
    CHECK(second.hears(Device::puback(1)));
    CHECK(door.listener->stats().takeovers.value() == 1);
}

TEST_CASE(
    "front door: bytes that are no MQTT cost their connection and nothing else",
    "[front_door]"
) {
    ForgetfulDisk disk;
    FoldingKeeper keeper;
    Door door{disk, keeper};
    Device hostile{door};
    hostile.send("GET / HTTP/1.1\r\n\r\n");
    CHECK(hostile.is_closed());
    Device device{door};
    device.connect("dev", /*clean=*/true);
    device.publish(1, "x");
    CHECK(device.hears(Device::puback(1)));
}

TEST_CASE("front door: a full ring holds acks back until a checkpoint frees it", "[front_door]") {
    ForgetfulDisk disk;
    FoldingKeeper keeper;
    Door door{disk, keeper};
    Device device{door};
    device.connect("dev", /*clean=*/true);
    // 1 MiB of ring, a block a commit: it laps several times, and nothing is lost on the way.
    for (int i = 0; i < 1000; ++i) {
        const auto id = static_cast<std::uint16_t>(i % 60000 + 1);
        device.publish(id, "lap-" + std::to_string(i));
        REQUIRE(device.hears(Device::puback(id)));
    }
    CHECK(door.values().size() == 1000);
}

TEST_CASE(
    "front door: a group that waits for a sync is not forgotten when that fails",
    "[front_door]"
) {
    ForgetfulDisk disk;
    FoldingKeeper keeper;
    Door door{disk, keeper, {.committer = storage::CommitterThread::always_own}};
    Device first{door};
    Device second{door};
    first.connect("first", /*clean=*/true);
    second.connect("second", /*clean=*/true);
    const bool fails = GENERATE(false, true);
    std::atomic<bool> is_held{true};
    disk.lie_where([&](const test::DiskMoment&) {
        while (is_held)
            std::this_thread::yield();
        return false;
    });
    if (fails) disk.fail(DiskCall::overwrite, 1);
    first.publish(1, "first");
    REQUIRE(door.turn_until([&] { return door.log->flight().has_value(); }));
    second.publish(1, "second");
    REQUIRE(door.turn_until_read(1));
    is_held = false;
    CHECK(first.hears(Device::puback(1)));
    CHECK(second.hears(Device::puback(1)));
    CHECK(door.values().size() == 2);
}

TEST_CASE("front door: a commit interval makes fewer, larger groups", "[front_door]") {
    ForgetfulDisk disk;
    FoldingKeeper keeper;
    Door door{disk, keeper, {.commit_interval = std::chrono::milliseconds{300}}};
    Device device{door};
    device.connect("dev", /*clean=*/true);
    device.publish(1, "at once");
    REQUIRE(device.hears(Device::puback(1)));
    for (std::uint16_t i = 2; i <= 5; ++i) {
        device.publish(i, "together");
        door.turn_until_idle();
    }
    REQUIRE(device.hears(Device::puback(5)));
    CHECK(door.log->stats().groups.value() == 2);
}

}  // namespace milepost
