// Holds MQTT-3.1.0-1, -2, 3.1.2-1, -2, -21, -24, 3.1.3-5 to -8, 3.1.4-1, -5, -6, 3.2.0-1, -2,
// 3.2.2-1, -6, -7, -9, -21, -22 (3.1.1: MQTT-3.1.0-1, -2, 3.1.2-1, -2, 3.1.3-5 to -9, 3.1.4-1,
// -4, -5, 3.2.0-1, 3.2.2-4 to -6).
#include "gateway/mqtt/session.hpp"
#include "tests/unit/gateway/mqtt/packets.hpp"

#include <catch2/catch.hpp>

#include <string>
#include <vector>

namespace milepost::mqtt {
namespace {

using test::Conversation;
using test::hex;
using test::raw;
using test::ScriptedDevice;

TEST_CASE("session: CONNECT is answered when the owner says so, not before", "[mqtt]") {
    for (const ProtocolLevel level : {v3, v5}) {
        Conversation{}
            .device(connect_packet(level))
            .gateway({})
            .accepts()
            .gateway(connack(level))
            .holds();
    }
}

TEST_CASE("session: nothing behind a CONNECT is consumed before its answer", "[mqtt]") {
    for (const ProtocolLevel level : {v3, v5}) {
        ScriptedDevice device;
        device.sends(connect_packet(level) + publish_packet(level, 1) + raw({0xC0, 0}));
        CHECK(device.events().size() == 1);
        CHECK(device.out().empty());
        CHECK(device.awaits() == Awaits::answer);
        CHECK(device.unconsumed_bytes() == publish_packet(level, 1).size() + 2);

        device.is_accepted();
        CHECK(device.events().size() == 2);
        CHECK(hex(device.out()) == hex(connack(level) + raw({0xD0, 0})));
    }
}

TEST_CASE("session: nothing behind a refused CONNECT is ever taken", "[mqtt]") {
    Conversation{}
        .device(connect_packet(v5) + publish_packet(v5, 1))
        .refuses(ReasonCode::server_busy)
        .gateway(raw({0x20, 3, 0, 0x89, 0}))
        .device(raw({0xC0, 0}))
        .gateway({})
        .closes(Errc::refused_by_owner)
        .holds();
    Conversation{}
        .device(connect_packet(v3))
        .refuses(ReasonCode::server_busy)
        .gateway(raw({0x20, 2, 0, 3}))
        .closes(Errc::refused_by_owner)
        .holds();
}

TEST_CASE("session: CONNACK says whether there was a session", "[mqtt]") {
    const Acceptance acceptance{true, {}, {}};
    Conversation{}
        .device(connect_packet(v3))
        .accepts(acceptance)
        .gateway(raw({0x20, 2, 1, 0}))
        .holds();
}

TEST_CASE("session: 5.0 is told its name and every limit that differs from its wish", "[mqtt]") {
    Limits limits;
    limits.keep_alive_s_max = 30;
    limits.in_flight_publishes_max = 10;
    limits.packet_bytes_max = 1024;
    ScriptedDevice device{limits};
    device.sends(connect_packet(v5, ""));
    device.is_accepted({false, "mp-17", 7U});
    CHECK(hex(device.out()) == hex(raw({0x20, 32,  0,   0,   29,  17, 0,  0,  0,  7,  33, 0,
                                        10,   39,  0,   0,   4,   0,  34, 0,  32, 18, 0,  5,
                                        'm',  'p', '-', '1', '7', 42, 0,  19, 0,  30})));
    CHECK(device.session().keep_alive_s() == 30);
}

TEST_CASE("session: a keep-alive limit holds in 5.0, where it can be told", "[mqtt]") {
    Limits limits;
    limits.keep_alive_s_max = 100;
    for (const unsigned wish : {0U, 60U, 100U, 101U}) {
        for (const ProtocolLevel level : {v3, v5}) {
            Connect connect;
            connect.level = level;
            connect.clean_start = true;
            connect.keep_alive_s = static_cast<std::uint16_t>(wish);
            ScriptedDevice device{limits};
            device.sends(connect_packet(connect));
            const bool is_limited = level == v5 && (wish == 0 || wish > 100);
            CHECK(device.session().keep_alive_s() == (is_limited ? 100 : wish));
        }
    }
}

TEST_CASE(
    "session: the first packet is CONNECT, anything else is cut at its first byte",
    "[mqtt]"
) {
    for (const unsigned first : {0x00U, 0x20U, 0x30U, 0x47U, 0xC0U, 0xE0U, 0xF0U}) {
        Conversation{}.device(raw({first})).gateway({}).closes(Errc::connect_expected).holds();
    }
}

TEST_CASE("session: a second CONNECT ends the connection", "[mqtt]") {
    for (const ProtocolLevel level : {v3, v5}) {
        connected(level)
            .device(connect_packet(level))
            .gateway(goodbye(level, 0x82))
            .closes(Errc::second_connect)
            .holds();
    }
}

TEST_CASE("session: what an unserved version is told", "[mqtt]") {
    struct Row {
        Buffer sent;
        Buffer answer;
        Errc why;
    };

    const std::vector<Row> table = {
        {raw({0x10, 9, 0, 6, 'M', 'Q', 'I', 's', 'd', 'p', 3}),
         raw({0x20, 2, 0, 1}),
         Errc::unsupported_protocol_level},
        {raw({0x10, 7, 0, 4, 'M', 'Q', 'T', 'T', 6}),
         raw({0x20, 3, 0, 0x84, 0}),
         Errc::unsupported_protocol_level},
        {raw({0x10, 7, 0, 4, 'M', 'Q', 'X', 'X', 5}), {}, Errc::unknown_protocol_name}};
    for (const Row& row : table) {
        Conversation{}.device(row.sent).gateway(row.answer).closes(row.why).holds();
    }
}

TEST_CASE("session: a malformed CONNECT gets a CONNACK in 5.0 and silence in 3.1.1", "[mqtt]") {
    Buffer reserved_v5 = connect_packet(v5);
    reserved_v5[9] |= std::byte{1};
    Conversation{}
        .device(reserved_v5)
        .gateway(raw({0x20, 3, 0, 0x81, 0}))
        .closes(Errc::bad_options)
        .holds();
    Buffer reserved_v3 = connect_packet(v3);
    reserved_v3[9] |= std::byte{1};
    Conversation{}.device(reserved_v3).gateway({}).closes(Errc::bad_options).holds();
}

TEST_CASE("session: who may leave its name to the gateway", "[mqtt]") {
    for (const bool clean : {false, true}) {
        for (const ProtocolLevel level : {v3, v5}) {
            Connect connect;
            connect.level = level;
            connect.clean_start = clean;
            ScriptedDevice device;
            device.sends(connect_packet(connect));
            const bool is_refused = level == v3 && !clean;
            CHECK(device.session().is_closed() == is_refused);
            CHECK(hex(device.out()) == (is_refused ? "20 02 00 02 " : ""));
        }
    }
}

TEST_CASE("session: a client id above the limit is refused", "[mqtt]") {
    const std::string long_id(257, 'a');
    Conversation{}
        .device(connect_packet(v3, long_id))
        .gateway(raw({0x20, 2, 0, 2}))
        .closes(Errc::client_id_refused)
        .holds();
    Conversation{}
        .device(connect_packet(v5, long_id))
        .gateway(raw({0x20, 3, 0, 0x85, 0}))
        .closes(Errc::client_id_refused)
        .holds();
    ScriptedDevice device;
    device.sends(connect_packet(v5, std::string(256, 'a')));
    CHECK(device.awaits() == Awaits::answer);
}

TEST_CASE("session: an authentication method is refused", "[mqtt]") {
    Buffer properties;
    append_text_property(properties, PropertyId::authentication_method, "SCRAM");
    Connect connect;
    connect.level = v5;
    connect.properties = properties;
    Conversation{}
        .device(connect_packet(connect))
        .gateway(raw({0x20, 3, 0, 0x8C, 0}))
        .closes(Errc::authentication_method_not_served)
        .holds();
}

TEST_CASE("session: an answer above the device's Maximum Packet Size is never sent", "[mqtt]") {
    Buffer properties;
    append_number_property(properties, PropertyId::maximum_packet_size, 17);
    Connect connect;
    connect.level = v5;
    connect.properties = properties;
    Conversation{}
        .device(connect_packet(connect))
        .accepts()
        .gateway({})
        .closes(Errc::reply_too_large)
        .holds();
    properties.back() = std::byte{20};
    Conversation{}.device(connect_packet(connect)).accepts().gateway(connack_v5()).holds();
}

TEST_CASE("session: a late answer to a connection that is gone does nothing", "[mqtt]") {
    ScriptedDevice device;
    device.sends(connect_packet(v5));
    device.is_disconnected(ReasonCode::session_taken_over);
    CHECK(hex(device.take_out()) == "20 03 00 88 00 ");
    device.is_accepted();
    device.is_refused(ReasonCode::banned);
    CHECK(device.out().empty());
    CHECK_FALSE(device.session().is_will_due());
}

}  // namespace
}  // namespace milepost::mqtt
