// Holds MQTT-2.1.3-1, 3.1.2-24, 3.1.2-25, 3.8.3-4, 3.8.4-1, -2, -6, 3.10.4-4 to -6, 3.12.4-1,
// 3.15.1-1, 4.13.1-1 (3.1.1:
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
        subscriptions.push_back({filter, Qos::exactly_once});
    }
    Buffer bytes;
    encode_subscribe(bytes, level, 9, subscriptions);
    return bytes;
}

TEST_CASE("session: a SUBACK comes after the sync, one code a filter, in its turn", "[mqtt]") {
    connected(v3)
        .device(subscribe_packet(v3, {"a/#", "b"}) + publish_packet(v3, 1))
        .gateway({})
        .after_sync()
        .gateway(raw({0x90, 4, 0, 9, 2, 2}) + puback(1))
        .holds();
    connected(v5)
        .device(publish_packet(v5, 1) + subscribe_packet(v5, {"a/#", "$share/g/b"}))
        .gateway({})
        .after_sync()
        .gateway(puback(1) + raw({0x90, 5, 0, 9, 0, 2, 0x9E}))
        .holds();
}

TEST_CASE("session: No Local on a shared subscription ends the connection", "[mqtt]") {
    connected(v5)
        .device(raw({0x82, 14, 0, 9, 0, 0, 8, '$', 's', 'h', 'a', 'r', 'e', '/', 'g', 4}))
        .gateway(goodbye(v5, 0x81))
        .closes(Errc::bad_topic_filter)  // a group needs a filter
        .holds();
    Buffer shared;
    encode_subscribe(shared, v5, 9, std::vector<Subscription>{{"$share/g/a", Qos{}, true}});
    connected(v5).device(shared).gateway(goodbye(v5, 0x82)).closes(Errc::shared_no_local).holds();
}

TEST_CASE("session: an UNSUBSCRIBE is answered after the sync", "[mqtt]") {
    const std::vector<std::string_view> filters = {"a/#", "b"};
    for (const ProtocolLevel level : {v3, v5}) {
        Buffer unsubscribe;
        encode_unsubscribe(unsubscribe, level, 9, filters);
        connected(level)
            .device(unsubscribe)
            .gateway({})
            .after_sync()
            .gateway(level == v5 ? raw({0xB0, 5, 0, 9, 0, 0x11, 0x11}) : raw({0xB0, 2, 0, 9}))
            .holds();
    }
}

TEST_CASE("session: a device that only subscribes is paused at the in-flight limit", "[mqtt]") {
    Limits limits;
    limits.in_flight_bytes_max = 128;
    for (const ProtocolLevel level : {v3, v5}) {
        ScriptedDevice device{limits};
        connect(device, level);
        const Buffer subscribe = subscribe_packet(level, {"a/#"});
        device.sends(subscribe + subscribe + subscribe);
        CHECK(device.awaits() == Awaits::acks);
        CHECK(device.unconsumed_bytes() == subscribe.size());
        device.is_synced();
        CHECK(device.unconsumed_bytes() == 0);
    }
}

TEST_CASE("session: where there is no room a SUBSCRIBE waits and is offered again", "[mqtt]") {
    ScriptedDevice device;
    connect(device, v5);
    device.has_room(false);
    device.sends(subscribe_packet(v5, {"a"}));
    CHECK(device.awaits() == Awaits::room);
    CHECK(device.session().in_flight() == 0);
    device.has_room(true);
    CHECK(device.events().back() == "subscribe a");
}

TEST_CASE("session: the device's acks are handed over and answered by the owner alone", "[mqtt]") {
    for (const ProtocolLevel level : {v3, v5}) {
        ScriptedDevice device;
        connect(device, level);
        device.sends(
            ack(PacketType::puback, 7) + ack(PacketType::pubrec, 8) + ack(PacketType::pubcomp, 8)
        );
        const auto& events = device.events();
        REQUIRE(events.size() == 4);
        CHECK(events[1] == "ack 4 id 7 reason 0");
        CHECK(events[2] == "ack 5 id 8 reason 0");
        CHECK(events[3] == "ack 7 id 8 reason 0");
        CHECK(device.out().empty());
        device.session().release({8, ReasonCode::packet_identifier_not_found}, device.out_buffer());
        CHECK(hex(device.take_out()) == (level == v5 ? "62 03 00 08 92 " : "62 02 00 08 "));
    }
}

TEST_CASE("session: publishes to a device, and none above its Maximum Packet Size", "[mqtt]") {
    Buffer properties;
    append_number_property(properties, PropertyId::maximum_packet_size, 24);
    Connect connect;
    connect.level = v5;
    connect.properties = properties;
    ScriptedDevice device;
    Publish publish;
    publish.topic = "a/b";
    publish.payload = as_bytes("0123456789");
    publish.qos = Qos::at_least_once;
    publish.ticket.packet_id = 5;
    publish.dup = true;
    CHECK_FALSE(device.session().publish(publish, device.out_buffer()));  // not connected yet
    device.sends(connect_packet(connect));
    device.is_accepted();
    static_cast<void>(device.take_out());
    CHECK(device.session().publish(publish, device.out_buffer()));
    CHECK(hex(device.take_out()) == "3a 12 00 03 61 2f 62 00 05 00 30 31 32 33 34 35 36 37 38 39 ");
    publish.payload = as_bytes("0123456789abcde");
    CHECK_FALSE(device.session().publish(publish, device.out_buffer()));
    CHECK(device.out().empty());
    CHECK(device.session().is_connected());
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
        .after_sync()
        .gateway({})
        .closes(Errc::reply_too_large)
        .holds();
}

}  // namespace
}  // namespace milepost::mqtt
