#include "firmware-sim/client_session.hpp"

#include <catch2/catch.hpp>

#include <string>
#include <string_view>
#include <vector>

using namespace milepost;
using namespace milepost::fleet;

namespace {

using namespace std::string_literals;

// A session, what it wants sent, and what it said.
struct Client {
    explicit Client(LinkSettings used = {})
        : settings(std::move(used))
        , session(settings, std::string{"V0001"}) {}

    bool receive(std::string_view bytes) {
        events.clear();
        out.clear();
        return session.receive(bytes, out, events);
    }

    bool publish(std::uint64_t seq, std::string_view payload = "p") {
        out.clear();
        return session.publish(seq, payload, out, events);
    }

    // Connected; MQTT 3.1.1.
    void connect(bool session_present = false) {
        session.begin(out);
        REQUIRE(receive("\x20\x02"s + (session_present ? '\1' : '\0') + '\0'));
        REQUIRE_FALSE(events.empty());
        REQUIRE(events.front().kind == LinkEventKind::connected);
    }

    LinkSettings settings;
    ClientSession session;
    std::string out;
    std::vector<LinkEvent> events;
};

// PUBLISH to vehicles/V0001/telemetry in 3.1.1 with a payload of one byte.
std::string publish_packet(unsigned header, unsigned id, std::string_view payload = "p") {
    const std::string topic = "vehicles/V0001/telemetry";
    std::string packet{static_cast<char>(header)};
    packet += static_cast<char>(2 + topic.size() + 2 + payload.size());
    packet += '\0';
    packet += static_cast<char>(topic.size());
    packet += topic;
    packet += static_cast<char>(id >> 8U);
    packet += static_cast<char>(id & 0xffU);
    packet += payload;
    return packet;
}

}  // namespace

TEST_CASE("client session: CONNECT asks for a kept session", "[client_session]") {
    Client old;
    old.session.begin(old.out);
    // 3.1.1, 3.1: protocol MQTT, level 4, no clean session, keep alive of 30 s.
    CHECK(old.out == "\x10\x11\0\4MQTT\4\0\0\x1e\0\5V0001"s);
    Client client{{.version = MqttVersion::v5, .user = "u", .password = "pw"}};
    client.session.begin(client.out);
    // 5.0: session expiry (0x11) of 86,400 s; user name and password.
    CHECK(client.out == "\x10\x1e\0\4MQTT\5\xc0\0\x1e\5\x11\0\1\x51\x80\0\5V0001\0\1u\0\2pw"s);
}

TEST_CASE(
    "client session: a resumed session gets the same ids with DUP, in order",
    "[client_session]"
) {
    Client client;
    client.connect();
    for (std::uint64_t seq = 1; seq <= 3; ++seq) {
        REQUIRE(client.publish(seq));
        CHECK(client.out == publish_packet(0x32, static_cast<unsigned>(seq)));
    }
    REQUIRE(client.receive("\x40\x02\0\1"s));
    REQUIRE(client.events.size() == 1);
    CHECK(client.events[0].kind == LinkEventKind::acknowledged);
    CHECK(client.events[0].seq == 1);
    client.session.end();
    CHECK_FALSE(client.publish(4));
    client.connect(/*session_present=*/true);
    CHECK(client.events[0].session_present);
    CHECK(client.out == publish_packet(0x3a, 2) + publish_packet(0x3a, 3));
}

TEST_CASE(
    "client session: what it has in flight is forgotten with the session",
    "[client_session]"
) {
    Client client;
    client.connect();
    REQUIRE(client.publish(1));
    client.session.end();
    client.connect(/*session_present=*/false);
    CHECK_FALSE(client.events[0].session_present);
    CHECK(client.out.empty());
    // The gateway still knows one, this client does not.
    client.session.end();
    client.session.forget();
    client.connect(/*session_present=*/true);
    CHECK_FALSE(client.events[0].session_present);
}

TEST_CASE(
    "client session: QoS 2 is released once it is received, also after a loss",
    "[client_session]"
) {
    Client client{{.qos = 2}};
    client.connect();
    REQUIRE(client.publish(1));
    REQUIRE(client.publish(2));
    CHECK(client.out == publish_packet(0x34, 2));
    REQUIRE(client.receive("\x50\x02\0\1"s));
    CHECK(client.events.empty());
    CHECK(client.out == "\x62\x02\0\1"s);
    client.session.end();
    client.connect(/*session_present=*/true);
    CHECK(client.out == "\x62\x02\0\1"s + publish_packet(0x3c, 2));
    REQUIRE(client.receive("\x70\x02\0\1"s));
    REQUIRE(client.events.size() == 1);
    CHECK(client.events[0].seq == 1);
    CHECK(client.events[0].kind == LinkEventKind::acknowledged);
    // A PUBREC that belongs to nothing is released all the same.
    REQUIRE(client.receive("\x50\x02\0\7"s));
    CHECK(client.out == "\x62\x02\0\7"s);
}

TEST_CASE("client session: QoS 0 is settled when it is written", "[client_session]") {
    Client client{{.qos = 0}};
    client.connect();
    client.events.clear();
    REQUIRE(client.publish(1));
    CHECK(client.out[0] == '\x30');
    CHECK(client.events.empty());
    client.session.written(client.events);
    REQUIRE(client.events.size() == 1);
    CHECK(client.events[0].kind == LinkEventKind::acknowledged);
}

TEST_CASE("client session: no more is in flight than both sides want", "[client_session]") {
    Client client{{.version = MqttVersion::v5, .in_flight_max = 20}};
    client.session.begin(client.out);
    // CONNACK with Receive Maximum 2, Server Keep Alive 7, Maximum Packet Size 60.
    REQUIRE(client.receive("\x20\x0e\0\0\x0b\x21\0\2\x13\0\7\x27\0\0\0\x3c"s));
    CHECK(client.events[0].window == 2);
    CHECK(client.session.keep_alive() == std::chrono::seconds{7});
    client.events.clear();
    CHECK(client.publish(1, std::string(100, 'x')));
    REQUIRE(client.events.size() == 1);
    CHECK(client.events[0].kind == LinkEventKind::refused);
    CHECK(client.events[0].code == 0x95);
    CHECK(client.out.empty());
    CHECK(client.publish(2));
    CHECK(client.publish(3));
    CHECK_FALSE(client.publish(4));
    REQUIRE(client.receive("\x40\x04\0\1\x97\0"s));
    CHECK(client.events[0].kind == LinkEventKind::refused);
    CHECK(client.events[0].seq == 2);
    CHECK(client.publish(4));
}

TEST_CASE("client session: packets may be cut anywhere", "[client_session]") {
    Client client;
    client.connect();
    REQUIRE(client.publish(1));
    REQUIRE(client.publish(2));
    const std::string answers = "\x40\x02\0\1\xd0\0\x40\x02\0\2"s;
    std::vector<std::uint64_t> seen;
    for (const char byte : answers) {
        REQUIRE(client.receive({&byte, 1}));
        for (const LinkEvent& event : client.events)
            seen.push_back(event.seq);
    }
    CHECK(seen == std::vector<std::uint64_t>{1, 2});
}

TEST_CASE("client session: what no gateway says ends the connection", "[client_session]") {
    const std::vector<std::string> wrong{
        "\x20\x02\0\0"s,              // a second CONNACK
        "\x41\x02\0\1"s,              // flags
        "\x40\x02\0\0"s,              // packet id 0
        "\x40\x03\0\1\0"s,            // a byte too many in 3.1.1
        "\x30\x05\0\1ap"s,            // a PUBLISH, to whom?
        "\x40\xff\xff\xff\x7f"s,      // longer than it may be
        "\x40\xff\xff\xff\xff\xff"s,  // no length at all
        "\xe0\0"s,                    // DISCONNECT is the client's in 3.1.1
        "\0\0"s,
    };
    for (const std::string& bytes : wrong) {
        Client client;
        client.connect();
        CHECK_FALSE(client.receive(bytes + std::string(8, '\0')));
    }
    Client refused;
    refused.session.begin(refused.out);
    CHECK_FALSE(refused.receive("\x20\x02\0\5"s));
    Client early;
    early.session.begin(early.out);
    CHECK_FALSE(early.receive("\x40\x02\0\1"s));
}

TEST_CASE(
    "client session: every cut and every changed byte of version 5 is survived",
    "[client_session]"
) {
    const std::string connack = "\x20\x13\0\0\x10\x21\0\2\x1f\0\3why\x26\0\1k\0\1v"s;
    const std::string puback = "\x40\x08\0\1\x10\4\x1f\0\1r"s;
    for (std::size_t i = 0; i < connack.size() + puback.size(); ++i) {
        for (unsigned value = 0; value < 256; ++value) {
            Client client{{.version = MqttVersion::v5}};
            client.session.begin(client.out);
            std::string bytes = connack + puback;
            bytes[i] = static_cast<char>(value);
            // Either is fine; the sanitizers watch.
            if (client.receive(bytes.substr(0, i)))
                static_cast<void>(client.receive(bytes.substr(i)));
        }
    }
    Client client{{.version = MqttVersion::v5}};
    client.session.begin(client.out);
    CHECK(client.receive(connack + puback));
}
