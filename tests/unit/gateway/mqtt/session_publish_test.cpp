// Holds MQTT-2.2.1-5, 3.2.2-9, 3.3.1-4, 3.3.4-1, -7, 4.3.1-1, 4.3.2-4, -5, 4.6.0-2,
// 4.9.0-1, -3, 4.13.1-1 (3.1.1: MQTT-2.3.1-6, 3.3.1-4, 3.3.4-1, 4.3.2-2, 4.6.0-2, 4.8.0-1).
#include "gateway/mqtt/session.hpp"
#include "tests/unit/gateway/mqtt/packets.hpp"

#include <catch2/catch.hpp>

#include <string>
#include <vector>

namespace milepost::mqtt {
namespace {

using test::hex;
using test::raw;
using test::ScriptedDevice;

TEST_CASE("session: PUBACK comes after the sync, in the order of the publishes", "[mqtt]") {
    for (const ProtocolLevel level : {v3, v5}) {
        connected(level)
            .device(publish_packet(level, 7) + publish_packet(level, 3))
            .gateway({})
            .after_sync()
            .gateway(puback(7) + puback(3))
            .device(publish_packet(level, 7))
            .gateway({})
            .after_sync()
            .gateway(puback(7))
            .holds();
    }
}

TEST_CASE("session: a QoS 0 publish is handed over and not answered", "[mqtt]") {
    for (const ProtocolLevel level : {v3, v5}) {
        ScriptedDevice device;
        connect(device, level);
        device.sends(publish_packet(level, 0, "a", "payload"));
        CHECK(device.events().back() == "publish a payload qos 0 id 0");
        CHECK(device.session().in_flight() == 0);
        CHECK(device.session().in_flight_bytes() == 0);
        device.is_synced();
        CHECK(device.out().empty());
    }
}

TEST_CASE("session: retain, DUP and an empty payload arrive as they were sent", "[mqtt]") {
    ScriptedDevice device;
    connect(device, v3);
    device.sends(raw({0x3B, 5, 0, 1, 'a', 0, 9}));
    CHECK(device.events().back() == "publish a  qos 1 id 9 retain dup");
}

TEST_CASE("session: a packet id that is in flight again is taken again", "[mqtt]") {
    for (const ProtocolLevel level : {v3, v5}) {
        connected(level)
            .device(publish_packet(level, 7) + publish_packet(level, 7))
            .after_sync()
            .gateway(puback(7) + puback(7))
            .holds();
    }
}

TEST_CASE("session: a refusal is told in 5.0 and acknowledged in 3.1.1", "[mqtt]") {
    for (const ProtocolLevel level : {v3, v5}) {
        ScriptedDevice device;
        connect(device, level);
        device.sends(publish_packet(level, 7));
        device.is_synced(ReasonCode::not_authorized);
        CHECK(hex(device.out()) == (level == v5 ? "40 03 00 07 87 " : "40 02 00 07 "));
        CHECK(device.session().in_flight() == 0);
    }
}

TEST_CASE("session: PINGREQ is answered at once, while publishes wait", "[mqtt]") {
    for (const ProtocolLevel level : {v3, v5}) {
        connected(level)
            .device(publish_packet(level, 1) + raw({0xC0, 0}))
            .gateway(raw({0xD0, 0}))
            .after_sync()
            .gateway(puback(1))
            .holds();
    }
}

TEST_CASE("session: malformed publishes end the connection", "[mqtt]") {
    struct Row {
        Buffer sent;
        unsigned reason;
        Errc why;
    };

    const std::vector<Row> table = {
        {raw({0x36, 7, 0, 1, 'a', 0, 1, 0, 'x'}), 0x81, Errc::bad_qos},
        {raw({0x32, 7, 0, 1, 'a', 0, 0, 0, 'x'}), 0x82, Errc::zero_packet_id},
        {raw({0x30, 4, 0, 1, '#', 0}), 0x81, Errc::bad_topic_name},
        {raw({0x38, 4, 0, 1, 'a', 0}), 0x82, Errc::dup_without_qos},
        {raw({0x30, 2, 0, 9}), 0x81, Errc::short_packet}};
    for (const Row& row : table) {
        for (const ProtocolLevel level : {v3, v5}) {
            connected(level)
                .device(row.sent)
                .gateway(goodbye(level, row.reason))
                .closes(row.why)
                .holds();
        }
    }
}

TEST_CASE("session: 5.0 may have Receive Maximum publishes in flight and not one more", "[mqtt]") {
    Limits limits;
    limits.in_flight_publishes_max = 3;
    ScriptedDevice device{limits};
    connect(device, v5);
    device.sends(publish_packet(v5, 1) + publish_packet(v5, 2) + publish_packet(v5, 3));
    device.sends(publish_packet(v5, 0) + raw({0xC0, 0}));  // neither counts
    CHECK(device.awaits() == Awaits::bytes);
    CHECK(hex(device.take_out()) == "d0 00 ");
    device.is_synced();
    CHECK(device.take_out().size() == 12);

    for (const unsigned id : {4U, 5U, 6U, 7U}) {
        device.sends(publish_packet(v5, id));
    }
    CHECK(hex(device.out()) == "e0 01 93 ");
    CHECK(device.session().closed_because() == Errc::receive_maximum_exceeded);
    CHECK(device.tickets().size() == 3);
}

TEST_CASE("session: 3.1.1 pauses at the limit of publishes and goes on after the acks", "[mqtt]") {
    Limits limits;
    limits.in_flight_publishes_max = 3;
    ScriptedDevice device{limits};
    connect(device, v3);
    for (const unsigned id : {1U, 2U, 3U, 4U}) {
        device.sends(publish_packet(v3, id));
    }
    device.sends(raw({0xC0, 0}));
    CHECK(device.awaits() == Awaits::acks);
    CHECK(device.session().wants_pause());
    CHECK(device.out().empty());
    CHECK(device.tickets().size() == 3);

    device.is_synced();
    CHECK_FALSE(device.session().wants_pause());
    CHECK(hex(device.out()) == hex(puback(1) + puback(2) + puback(3) + raw({0xD0, 0})));
    CHECK(device.tickets().size() == 1);
}

TEST_CASE("session: both versions pause at the limit of bytes", "[mqtt]") {
    Limits limits;
    limits.in_flight_bytes_max = 1024;
    const std::string payload(500, 'x');
    for (const ProtocolLevel level : {v3, v5}) {
        ScriptedDevice device{limits};
        connect(device, level);
        for (const unsigned id : {1U, 2U, 3U}) {
            device.sends(publish_packet(level, id, "a", payload));
        }
        CHECK(device.awaits() == Awaits::acks);
        CHECK(device.tickets().size() == 2);
        CHECK(device.session().in_flight_bytes() == 1024);
        device.is_synced();
        CHECK(device.tickets().size() == 1);
        device.is_synced();
        CHECK(device.session().in_flight_bytes() == 0);
    }
}

TEST_CASE("session: one publish above the limit of bytes is taken alone", "[mqtt]") {
    Limits limits;
    limits.in_flight_bytes_max = 100;
    ScriptedDevice device{limits};
    connect(device, v3);
    device.sends(publish_packet(v3, 1, "a", std::string(5000, 'x')));
    CHECK(device.tickets().size() == 1);
    CHECK(device.session().wants_pause());
}

TEST_CASE("session: an owner without room leaves the publish where it is", "[mqtt]") {
    for (const ProtocolLevel level : {v3, v5}) {
        ScriptedDevice device;
        connect(device, level);
        device.sends(publish_packet(level, 1));
        device.has_room(/*room=*/false);
        device.sends(publish_packet(level, 2) + raw({0xC0, 0}));
        CHECK(device.awaits() == Awaits::room);
        CHECK(device.session().in_flight() == 1);
        CHECK(device.out().empty());
        device.has_room(/*room=*/true);
        CHECK(device.awaits() == Awaits::bytes);
        CHECK(device.session().in_flight() == 2);
        CHECK(device.events().size() == 3);
        CHECK(hex(device.out()) == "d0 00 ");
    }
}

TEST_CASE("session: an owner may answer from inside the call", "[mqtt]") {
    struct Eager {
        Session* session = nullptr;
        Buffer* out = nullptr;

        void on_connect(const Connect& /*connect*/) const { session->accept({}, *out); }

        Taken on_publish(const Publish& publish) const {
            session->publish_done(publish.ticket, ReasonCode::success, *out);
            return Taken::yes;
        }

        Taken on_release(Ticket /*release*/) const { return Taken::yes; }

        Taken on_subscribe(const Subscribe& /*subscribe*/) const { return Taken::yes; }

        Taken on_unsubscribe(const Subscribe& /*unsubscribe*/) const { return Taken::yes; }

        void on_ack(PacketType /*type*/, Ack /*ack*/) const {}

        void on_disconnect(const Disconnect& /*leaving*/) {}
    };

    const Limits limits;
    Session session{limits};
    Buffer out;
    Eager eager{&session, &out};
    const Buffer input = connect_packet(v3) + publish_packet(v3, 1) + publish_packet(v3, 2);
    const Received received = session.receive(input, eager, out);
    CHECK(received.consumed == input.size());
    CHECK(hex(out) == hex(connack_v3() + puback(1) + puback(2)));
    CHECK(session.in_flight() == 0);
}

TEST_CASE("session: says how long the packet is that it waits for", "[mqtt]") {
    const Limits limits;
    Session session{limits};
    ScriptedDevice sink;
    Buffer out;
    const Buffer connect = connect_packet(v3);
    CHECK(session.receive(Bytes{connect}.first(5), sink, out).wanted == connect.size());
    CHECK(session.receive(connect, sink, out).consumed == connect.size());
    session.accept({}, out);
    const Buffer publish = publish_packet(v3, 1, "a", std::string(1000, 'x'));
    const Received received = session.receive(Bytes{publish}.first(900), sink, out);
    CHECK(received.consumed == 0);
    CHECK(received.awaits == Awaits::bytes);
    CHECK(received.wanted == publish.size());
}

}  // namespace
}  // namespace milepost::mqtt
