// Holds MQTT-3.1.2-22 (3.1.1: MQTT-3.1.2-24).
#include "gateway/mqtt/keep_alive.hpp"

#include <catch2/catch.hpp>

#include <chrono>

namespace milepost::mqtt {
namespace {

using namespace std::chrono_literals;

TEST_CASE("keep-alive: a device is given one and a half times its interval", "[mqtt]") {
    const Instant start{100s};
    KeepAlive keep_alive{10, start};
    CHECK(keep_alive.deadline() == start + 15s);
    CHECK_FALSE(keep_alive.is_expired(start + 15s - 1ns));
    CHECK(keep_alive.is_expired(start + 15s));

    keep_alive.packet(start + 14s);
    CHECK(keep_alive.deadline() == start + 29s);
}

TEST_CASE("keep-alive: 0 is never timed out, the longest does not overflow", "[mqtt]") {
    CHECK_FALSE(KeepAlive{}.deadline());
    CHECK_FALSE(KeepAlive(0, Instant{1s}).is_expired(Instant{1000h}));
    CHECK(KeepAlive(0xFFFF, Instant{}).deadline() == Instant{98'302'500ms});
}

TEST_CASE("keep-alive: a paused connection is not timed out and then starts anew", "[mqtt]") {
    const Instant start{100s};
    KeepAlive keep_alive{10, start};
    keep_alive.pause();
    CHECK_FALSE(keep_alive.deadline());
    CHECK_FALSE(keep_alive.is_expired(start + 1h));
    keep_alive.resume(start + 1h);
    CHECK(keep_alive.deadline() == start + 1h + 15s);
}

}  // namespace
}  // namespace milepost::mqtt
