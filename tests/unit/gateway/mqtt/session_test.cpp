// Holds MQTT-2.1.3-1, 3.8.4-1, -2, -5, 3.10.4-4 to -6, 3.12.4-1, 3.15.1-1, 4.13.1-1 (3.1.1:
// MQTT-2.2.2-2, 3.8.4-1, -2, -5, 3.10.4-4, -5, 3.12.4-1, 4.8.0-1).
#include "gateway/mqtt/session.hpp"

#include "tests/unit/gateway/mqtt/packets.hpp"

#include <catch2/catch.hpp>

#include <vector>

namespace milepost::mqtt {
namespace {

using test::hex;
using test::raw;
using test::ScriptedDevice;

Buffer subscribe_packet(ProtocolLevel level, std::initializer_list<std::string_view> filters) {
    std::vector<Subscription> subscriptions;
    for (const std::string_view filter : filters) {
        subscriptions.push_back({filter, Qos::exactly_once, false, false, 0});
    }
    Buffer bytes;
    encode_subscribe(bytes, level, 9, subscriptions);
    return bytes;
}

TEST_CASE("session: every subscription is refused, one code a filter", "[mqtt]") {
    connected(v3)
        .device(subscribe_packet(v3, {"a/#", "b", "$share/c/d"}))
        .gateway(raw({0x90, 5, 0, 9, 0x80, 0x80, 0x80}))
        .holds();
    connected(v5)
        .device(subscribe_packet(v5, {"a/#", "b"}))
        .gateway(raw({0x90, 5, 0, 9, 0, 0x83, 0x83}))
        .holds();
}

TEST_CASE("session: what CONNACK says is not available ends the connection", "[mqtt]") {
    connected(v5)
        .device(subscribe_packet(v5, {"a", "$share/group/b"}))
        .gateway(goodbye(v5, 0x9E))
        .closes(Errc::shared_subscription_not_served)
        .holds();
    connected(v5)
        .device(raw({0x82, 9, 0, 9, 2, 11, 7, 0, 1, 'a', 0}))
        .gateway(goodbye(v5, 0xA1))
        .closes(Errc::subscription_identifier_not_served)
        .holds();
}

TEST_CASE("session: an UNSUBSCRIBE is answered although there was nothing", "[mqtt]") {
    const std::vector<std::string_view> filters = {"a/#", "b"};
    for (const ProtocolLevel level : {v3, v5}) {
        Buffer unsubscribe;
        encode_unsubscribe(unsubscribe, level, 9, filters);
        connected(level)
            .device(unsubscribe)
            .gateway(level == v5 ? raw({0xB0, 5, 0, 9, 0, 0x11, 0x11}) : raw({0xB0, 2, 0, 9}))
            .holds();
    }
}

TEST_CASE("session: acks of publishes that were never sent are harmless", "[mqtt]") {
    for (const ProtocolLevel level : {v3, v5}) {
        connected(level)
            .device(raw({0x40, 2, 0, 7}))  // PUBACK
            .gateway({})
            .device(raw({0x70, 2, 0, 7}))  // PUBCOMP
            .gateway({})
            .device(raw({0x50, 2, 0, 7}))  // PUBREC → PUBREL
            .gateway(level == v5 ? raw({0x62, 3, 0, 7, 0x92}) : raw({0x62, 2, 0, 7}))
            .holds();
    }
}

TEST_CASE("session: packets that a client may not send end the connection", "[mqtt]") {
    struct Row {
        Buffer sent;
        unsigned reason;
        ProtocolLevel level;
        Errc why;
    };

    const std::vector<Row> table = {
        {raw({0x20, 2, 0, 0}), 0, v3, Errc::unexpected_packet},
        {raw({0x20, 3, 0, 0, 0}), 0x82, v5, Errc::unexpected_packet},
        {raw({0x90, 3, 0, 9, 0}), 0, v3, Errc::unexpected_packet},
        {raw({0x90, 4, 0, 9, 0, 0}), 0x82, v5, Errc::unexpected_packet},
        {raw({0xB0, 2, 0, 9}), 0, v3, Errc::unexpected_packet},
        {raw({0xB0, 4, 0, 9, 0, 0}), 0x82, v5, Errc::unexpected_packet},
        {raw({0xD0, 0}), 0, v3, Errc::unexpected_packet},
        {raw({0xD0, 0}), 0x82, v5, Errc::unexpected_packet},
        {raw({0x00, 0}), 0, v3, Errc::reserved_type},
        {raw({0x00, 0}), 0x81, v5, Errc::reserved_type},
        {raw({0xF0, 0}), 0, v3, Errc::reserved_type},
        {raw({0xF0, 0}), 0x82, v5, Errc::unexpected_packet}};
    for (const Row& row : table) {
        INFO(hex(row.sent));
        connected(row.level)
            .device(row.sent)
            .gateway(goodbye(row.level, row.reason))
            .closes(row.why)
            .holds();
    }
}

TEST_CASE("session: malformed packets end the connection with their reason", "[mqtt]") {
    struct Row {
        Buffer sent;
        unsigned reason;
        Errc why;
    };

    const std::vector<Row> table = {
        {raw({0xC1, 0}), 0x81, Errc::reserved_flags},
        {raw({0xC0, 1, 0}), 0x81, Errc::trailing_bytes},
        {raw({0x60, 2, 0, 7}), 0x81, Errc::reserved_flags},
        {raw({0x40, 2, 0, 0}), 0x82, Errc::zero_packet_id},
        {raw({0x80, 6, 0, 1, 0, 1, 'a', 0}), 0x81, Errc::reserved_flags},
        {raw({0xA0, 6, 0, 1, 0, 1, 'a', 0}), 0x81, Errc::reserved_flags},
        {raw({0x82, 3, 0, 0, 0}), 0x82, Errc::zero_packet_id},
        {raw({0x30, 0xFF, 0xFF, 0xFF, 0xFF}), 0x81, Errc::malformed_length}};
    for (const Row& row : table) {
        INFO(hex(row.sent));
        for (const ProtocolLevel level : {v3, v5}) {
            connected(level)
                .device(row.sent)
                .gateway(goodbye(level, row.reason))
                .closes(row.why)
                .holds();
        }
    }
}

TEST_CASE("session: a packet above the limit is refused by its header", "[mqtt]") {
    Limits limits;
    limits.packet_bytes_max = 100;
    test::Conversation{limits}
        .device(connect_packet(v3))
        .accepts()
        .gateway(connack_v3())
        .device(raw({0x30, 99}))
        .gateway({})
        .closes(Errc::packet_too_large)
        .holds();
    ScriptedDevice device{limits};
    connect(device, v5);
    device.sends(raw({0x30, 99}));
    CHECK(hex(device.out()) == "e0 01 95 ");
}

TEST_CASE("session: lengths must be in shortest form in 5.0 only", "[mqtt]") {
    connected(v3).device(raw({0xC0, 0x80, 0x00})).gateway(raw({0xD0, 0})).holds();
    connected(v5)
        .device(raw({0xC0, 0x80, 0x00}))
        .gateway(goodbye(v5, 0x81))
        .closes(Errc::malformed_length)
        .holds();
}

TEST_CASE("session: a SUBACK above the device's Maximum Packet Size is never sent", "[mqtt]") {
    Buffer properties;
    append_number_property(properties, PropertyId::maximum_packet_size, 20);
    Connect connect;
    connect.level = v5;
    connect.properties = properties;
    Buffer subscribe = raw({0x82, 67, 0, 9, 0});
    for (int i = 0; i < 16; ++i) {
        subscribe = subscribe + raw({0, 1, 'a', 0});
    }
    test::Conversation{}
        .device(connect_packet(connect))
        .accepts()
        .gateway(connack_v5())
        .device(subscribe)
        .gateway({})
        .closes(Errc::reply_too_large)
        .holds();
}

}  // namespace
}  // namespace milepost::mqtt
