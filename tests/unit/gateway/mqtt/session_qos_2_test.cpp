// Holds MQTT-2.2.1-5, 3.3.1-1, 3.3.4-9, 3.6.2-1 (reserved flags), 4.3.3-8, -9,
// -11, 4.6.0-3, 4.9.0-1 (3.1.1: MQTT-2.3.1-6, 4.3.3-2, 4.6.0-3).
#include "gateway/mqtt/session.hpp"
#include "tests/unit/gateway/mqtt/packets.hpp"

#include <catch2/catch.hpp>

#include <vector>

namespace milepost::mqtt {
namespace {

using test::hex;
using test::raw;
using test::ScriptedDevice;

constexpr auto pubrec = PacketType::pubrec;
constexpr auto pubrel = PacketType::pubrel;
constexpr auto pubcomp = PacketType::pubcomp;

TEST_CASE(
    "session: PUBREC and PUBCOMP come after the sync, in the order of the packets",
    "[mqtt]"
) {
    for (const ProtocolLevel level : {v3, v5}) {
        connected(level)
            .device(qos_2_packet(level, 7) + publish_packet(level, 1) + qos_2_packet(level, 3))
            .gateway({})
            .after_sync()
            .gateway(ack(pubrec, 7) + puback(1) + ack(pubrec, 3))
            .device(ack(pubrel, 7) + publish_packet(level, 1) + ack(pubrel, 3))
            .gateway({})
            .after_sync()
            .gateway(ack(pubcomp, 7) + puback(1) + ack(pubcomp, 3))
            .holds();
    }
}

// It is the owner who knows the packet ids: the session hands over what comes.
TEST_CASE("session: a second publish of the same packet id is handed over again", "[mqtt]") {
    for (const ProtocolLevel level : {v3, v5}) {
        connected(level)
            .device(qos_2_packet(level, 7) + qos_2_packet(level, 7, /*dup=*/true))
            .after_sync()
            .gateway(ack(pubrec, 7) + ack(pubrec, 7))
            .device(ack(pubrel, 7) + ack(pubrel, 7))
            .after_sync()
            .gateway(ack(pubcomp, 7) + ack(pubcomp, 7))
            .holds();
    }
}

TEST_CASE("session: a refused QoS 2 publish has a PUBREC that says so in 5.0", "[mqtt]") {
    for (const ProtocolLevel level : {v3, v5}) {
        ScriptedDevice device;
        connect(device, level);
        device.sends(qos_2_packet(level, 7));
        device.is_synced(ReasonCode::topic_name_invalid);
        CHECK(hex(device.take_out()) == (level == v5 ? "50 03 00 07 90 " : "50 02 00 07 "));
    }
}

TEST_CASE("session: a PUBREL for an unknown packet id is told in 5.0", "[mqtt]") {
    for (const ProtocolLevel level : {v3, v5}) {
        ScriptedDevice device;
        connect(device, level);
        device.sends(ack(pubrel, 9));
        device.is_synced(ReasonCode::packet_identifier_not_found);
        CHECK(hex(device.take_out()) == (level == v5 ? "70 03 00 09 92 " : "70 02 00 09 "));
    }
}

TEST_CASE("session: in 5.0 a QoS 2 publish counts until its PUBCOMP", "[mqtt]") {
    Limits limits;
    limits.in_flight_publishes_max = 2;
    ScriptedDevice device{limits};
    connect(device, v5);
    device.sends(qos_2_packet(v5, 1) + publish_packet(v5, 2));
    device.is_synced();  // the QoS 1 one is done with, the QoS 2 one is not
    device.sends(publish_packet(v5, 3));
    device.is_synced();
    device.sends(ack(pubrel, 1) + qos_2_packet(v5, 4));
    CHECK(device.session().is_connected());
    device.is_synced();
    CHECK(device.session().is_connected());
    device.sends(qos_2_packet(v5, 5));
    device.is_synced();
    static_cast<void>(device.take_out());
    device.sends(publish_packet(v5, 6));
    CHECK(hex(device.out()) == hex(goodbye(v5, 0x93)));
    CHECK(device.session().closed_because() == Errc::receive_maximum_exceeded);
}

TEST_CASE("session: a refusal ends a QoS 2 publish, its packet id is free", "[mqtt]") {
    Limits limits;
    limits.in_flight_publishes_max = 1;
    ScriptedDevice device{limits};
    connect(device, v5);
    for (unsigned i = 1; i <= 5; ++i) {
        device.sends(qos_2_packet(v5, i));
        device.is_synced(ReasonCode::not_authorized);
    }
    CHECK(device.session().is_connected());
}

TEST_CASE("session: 3.1.1 has no Receive Maximum, and PUBRELs are read while ids wait", "[mqtt]") {
    Limits limits;
    limits.in_flight_publishes_max = 2;
    ScriptedDevice device{limits};
    connect(device, v3);
    for (unsigned i = 1; i <= 20; ++i) {
        device.sends(qos_2_packet(v3, i));
        device.is_synced();
    }
    CHECK(device.session().in_flight() == 0);
    device.sends(ack(pubrel, 1));
    CHECK(device.events().back() == "release 1");
}

TEST_CASE("session: endless PUBRELs pause the connection", "[mqtt]") {
    Limits limits;
    limits.in_flight_bytes_max = 10 * Ticket::weight_bytes;
    for (const ProtocolLevel level : {v3, v5}) {
        ScriptedDevice device{limits};
        connect(device, level);
        for (unsigned i = 1; i <= 20; ++i)
            device.sends(ack(pubrel, i));
        CHECK(device.tickets().size() == 10);
        device.is_synced();
        CHECK(device.tickets().size() == 10);
        CHECK(device.unconsumed_bytes() == 0);
    }
}

TEST_CASE("session: a PUBREL waits for room as a publish does", "[mqtt]") {
    ScriptedDevice device;
    connect(device, v5);
    device.has_room(false);
    device.sends(ack(pubrel, 9));
    CHECK(device.awaits() == Awaits::room);
    CHECK(device.session().in_flight() == 0);
    device.has_room(true);
    CHECK(device.events().back() == "release 9");
}

TEST_CASE("session: a malformed PUBREL ends the connection", "[mqtt]") {
    for (const ProtocolLevel level : {v3, v5}) {
        connected(level)
            .device(raw({0x60, 2, 0, 7}))  // its flags are 2
            .gateway(goodbye(level, 0x81))
            .closes(Errc::reserved_flags)
            .holds();
        connected(level)
            .device(raw({0x62, 2, 0, 0}))
            .gateway(goodbye(level, 0x82))
            .closes(Errc::zero_packet_id)
            .holds();
    }
}

TEST_CASE("session: a will of QoS 2 is accepted", "[mqtt]") {
    for (const ProtocolLevel level : {v3, v5}) {
        Connect with_will;
        with_will.level = level;
        with_will.client_id = "pump-7";
        with_will.clean_start = true;
        with_will.will = Will{"status", as_bytes("gone"), {}, 0, Qos::exactly_once, false};
        ScriptedDevice device;
        device.sends(connect_packet(with_will));
        device.is_accepted();
        CHECK(device.session().is_connected());
    }
}

}  // namespace
}  // namespace milepost::mqtt
