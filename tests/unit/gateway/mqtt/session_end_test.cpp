// Holds MQTT-3.1.2-8, -10, 3.1.4-3, 3.14.0-1, 3.14.4-2, -3, 4.13.1-1, 4.13.2-1 and MQTT 5.0,
// section 3.14.2.2.2 (3.1.1: MQTT-3.1.2-8, -10, 3.1.4-2, 3.14.4-2, -3).
#include "gateway/mqtt/session.hpp"
#include "tests/unit/gateway/mqtt/packets.hpp"

#include <catch2/catch.hpp>

namespace milepost::mqtt {
namespace {

using test::hex;
using test::raw;
using test::ScriptedDevice;

TEST_CASE("session: a normal goodbye takes the will back", "[mqtt]") {
    for (const ProtocolLevel level : {v3, v5}) {
        connected(level)
            .device(raw({0xE0, 0}) + publish_packet(level, 1))
            .gateway({})
            .closes(Errc::client_disconnected)
            .holds();
        ScriptedDevice device;
        connect(device, level);
        CHECK(device.session().is_will_due());  // were the socket to break now
        device.sends(raw({0xE0, 0}) + publish_packet(level, 1));
        CHECK_FALSE(device.session().is_will_due());
        CHECK(device.events().back() == "disconnect 0");
    }
}

TEST_CASE("session: any other goodbye of 5.0 leaves the will due", "[mqtt]") {
    for (const unsigned reason : {0x04U, 0x80U, 0x98U}) {
        ScriptedDevice device;
        connect(device, v5);
        device.sends(raw({0xE0, 1, reason}));
        CHECK(device.session().is_will_due());
        CHECK(device.session().closed_because() == Errc::client_disconnected);
        CHECK(device.out().empty());
    }
}

TEST_CASE("session: an error of the device leaves the will due", "[mqtt]") {
    for (const ProtocolLevel level : {v3, v5}) {
        ScriptedDevice device;
        connect(device, level);
        device.sends(raw({0xE1, 0}));
        CHECK(device.session().is_will_due());
        CHECK(device.session().closed_because() == Errc::reserved_flags);
    }
}

TEST_CASE("session: there is no will to publish before the CONNECT is accepted", "[mqtt]") {
    ScriptedDevice device;
    CHECK_FALSE(device.session().is_will_due());
    device.sends(connect_packet(v5));
    CHECK_FALSE(device.session().is_will_due());
    device.is_refused(ReasonCode::not_authorized);
    CHECK_FALSE(device.session().is_will_due());
}

TEST_CASE("session: a goodbye may change an expiry but not make one", "[mqtt]") {
    const Buffer leaving = raw({0xE0, 7, 0, 5, 17, 0, 0, 0, 9});
    connected(v5)
        .device(leaving)
        .gateway(goodbye(v5, 0x82))
        .closes(Errc::session_expiry_raised)
        .holds();
    connected(v5)
        .device(raw({0xE0, 7, 0, 5, 17, 0, 0, 0, 0}))
        .gateway({})
        .closes(Errc::client_disconnected)
        .holds();

    Buffer properties;
    append_number_property(properties, PropertyId::session_expiry_interval, 1);
    Connect connect;
    connect.level = v5;
    connect.properties = properties;
    test::Conversation{}
        .device(connect_packet(connect))
        .accepts()
        .gateway(connack_v5())
        .device(leaving)
        .gateway({})
        .closes(Errc::client_disconnected)
        .holds();
}

TEST_CASE("session: the owner's goodbye is told in 5.0 only", "[mqtt]") {
    for (const ProtocolLevel level : {v3, v5}) {
        ScriptedDevice device;
        connect(device, level);
        device.is_disconnected(ReasonCode::session_taken_over);
        CHECK(hex(device.take_out()) == (level == v5 ? "e0 01 8e " : ""));
        CHECK(device.session().closed_because() == Errc::closed_by_owner);
        CHECK(device.session().is_will_due());
        device.is_disconnected(ReasonCode::server_shutting_down);
        CHECK(device.out().empty());
    }
}

TEST_CASE("session: before a CONNECT the owner's goodbye is silent", "[mqtt]") {
    ScriptedDevice device;
    device.is_disconnected(ReasonCode::maximum_connect_time);
    CHECK(device.out().empty());
    CHECK(device.session().is_closed());
}

TEST_CASE("session: nothing is acknowledged on a closed connection", "[mqtt]") {
    for (const ProtocolLevel level : {v3, v5}) {
        connected(level)
            .device(publish_packet(level, 1) + raw({0xE0, 0}))
            .after_sync()
            .gateway({})
            .closes(Errc::client_disconnected)
            .holds();
    }
}

}  // namespace
}  // namespace milepost::mqtt
