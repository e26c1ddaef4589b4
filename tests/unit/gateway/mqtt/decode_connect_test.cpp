// Holds MQTT-3.1.2-1 to -3, -9, -11 to -13, -16 to -19, 3.1.3-1, -3, -4, -10 to -12 (3.1.1:
// MQTT-3.1.2-1 to -3, -11, -13 to -15, -18 to -22, 3.1.3-1, -3, -4, -10, -11).
#include "gateway/mqtt/decode.hpp"
#include "gateway/mqtt/encode.hpp"
#include "tests/support/scripted_device.hpp"
#include "tests/unit/gateway/mqtt/packets.hpp"

#include <catch2/catch.hpp>

#include <vector>

namespace milepost::mqtt {
namespace {

using test::raw;

// A CONNECT of client id "a" with these flags, and whatever stands behind the client id.
Buffer connect_with(unsigned level, unsigned flags, const Buffer& behind = {}) {
    Buffer body = raw({0, 4, 'M', 'Q', 'T', 'T', level, flags, 0, 60});
    if (level == 5) body.push_back(std::byte{0});
    append_string(body, "a");
    append_bytes(body, behind);
    Buffer bytes = raw({0x10});
    append_variable_int(bytes, static_cast<std::uint32_t>(body.size()));
    append_bytes(bytes, body);
    return bytes;
}

Errc error_of(const Buffer& bytes) {
    Connect connect;
    return decode_connect(frame_of(bytes), connect);
}

TEST_CASE("decode: a whole CONNECT of 5.0 comes back as it was", "[mqtt]") {
    Buffer properties;
    append_number_property(properties, PropertyId::session_expiry_interval, 3600);
    append_number_property(properties, PropertyId::receive_maximum, 20);
    append_number_property(properties, PropertyId::maximum_packet_size, 4096);
    append_number_property(properties, PropertyId::topic_alias_maximum, 7);
    append_number_property(properties, PropertyId::request_problem_information, 0);
    append_user_property(properties, "fleet", "north");
    Buffer will_properties;
    append_number_property(will_properties, PropertyId::will_delay_interval, 30);
    append_text_property(will_properties, PropertyId::content_type, "text/plain");
    Connect sent;
    sent.level = ProtocolLevel::v5;
    sent.client_id = "pump-7";
    sent.keep_alive_s = 60;
    sent.properties = properties;
    sent.user_name = "user";
    sent.password = as_bytes("secret");
    sent.will = Will{
        "vehicles/pump-7/event/gone",
        as_bytes("gone"),
        will_properties,
        0,
        Qos::at_least_once,
        true};
    Buffer bytes;
    encode_connect(bytes, sent);

    Connect got;
    REQUIRE(decode_connect(frame_of(bytes), got) == Errc::none);
    CHECK(got.level == ProtocolLevel::v5);
    CHECK(got.client_id == "pump-7");
    CHECK(got.keep_alive_s == 60);
    CHECK_FALSE(got.clean_start);
    CHECK(got.session_expiry_s == 3600);
    CHECK(got.receive_maximum == 20);
    CHECK(got.packet_bytes_max == 4096);
    CHECK(got.topic_alias_maximum == 7);
    CHECK_FALSE(got.request_problem_information);
    CHECK(got.user_name == "user");
    CHECK(as_text(got.password.value()) == "secret");
    REQUIRE(got.will);
    CHECK(got.will->topic == "vehicles/pump-7/event/gone");
    CHECK(as_text(got.will->payload) == "gone");
    CHECK(got.will->delay_s == 30);
    CHECK(got.will->qos == Qos::at_least_once);
    CHECK(got.will->retain);
    CHECK(message_properties(got.will->properties).content_type == "text/plain");
}

TEST_CASE("decode: a CONNECT cut or stretched at any byte is refused", "[mqtt]") {
    for (const ProtocolLevel level : {ProtocolLevel::v3_1_1, ProtocolLevel::v5}) {
        Connect sent;
        sent.level = level;
        sent.client_id = "pump-7";
        sent.user_name = "user";
        sent.password = as_bytes("secret");
        sent.will = Will{"gone", as_bytes("bye"), {}, 0, Qos::at_most_once, false};
        Buffer bytes;
        encode_connect(bytes, sent);
        for (std::size_t length = 2; length < bytes.size(); ++length) {
            Buffer cut{bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(length)};
            cut[1] = static_cast<std::byte>(length - 2);
            CHECK(error_of(cut) == Errc::short_packet);
        }
        Buffer longer = bytes + raw({0});
        longer[1] = static_cast<std::byte>(longer.size() - 2);
        CHECK(error_of(longer) == Errc::trailing_bytes);
    }
}

TEST_CASE("decode: 3.1.1 has no expiry, clean session says it", "[mqtt]") {
    Connect connect;
    REQUIRE(decode_connect(frame_of(connect_with(4, 0x02)), connect) == Errc::none);
    CHECK(connect.clean_start);
    CHECK(connect.session_expiry_s == 0);
    CHECK(connect.level == ProtocolLevel::v3_1_1);
    REQUIRE(decode_connect(frame_of(connect_with(4, 0)), connect) == Errc::none);
    CHECK(connect.session_expiry_s == session_expiry_never);
}

TEST_CASE("decode: protocol name and level decide first, and how the answer looks", "[mqtt]") {
    struct Row {
        Buffer body;
        Errc expected;
        ProtocolLevel answered_in;
    };

    const std::vector<Row> table = {
        {raw({0, 6, 'M', 'Q', 'I', 's', 'd', 'p', 3}),
         Errc::unsupported_protocol_level,
         ProtocolLevel::v3_1_1},
        {raw({0, 4, 'M', 'Q', 'T', 'T', 3}),
         Errc::unsupported_protocol_level,
         ProtocolLevel::v3_1_1},
        {raw({0, 4, 'M', 'Q', 'T', 'T', 0x84}),
         Errc::unsupported_protocol_level,
         ProtocolLevel::v3_1_1},
        {raw({0, 4, 'M', 'Q', 'T', 'T', 6}), Errc::unsupported_protocol_level, ProtocolLevel::v5},
        {raw({0, 4, 'm', 'q', 't', 't', 4}), Errc::unknown_protocol_name, ProtocolLevel::v3_1_1},
        {raw({0, 4, 'M', 'Q', 'T', 'T'}), Errc::short_packet, ProtocolLevel::v3_1_1}};
    for (const Row& row : table) {
        Buffer bytes = raw({0x10, static_cast<unsigned>(row.body.size())});
        append_bytes(bytes, row.body);
        Connect connect;
        CHECK(decode_connect(frame_of(bytes), connect) == row.expected);
        CHECK(connect.level == row.answered_in);
    }
}

TEST_CASE("decode: connect flags that contradict each other are refused", "[mqtt]") {
    Buffer will;
    append_string(will, "gone");
    append_string(will, "bye");
    for (const unsigned level : {4U, 5U}) {
        CHECK(error_of(connect_with(level, 0x01)) == Errc::bad_options);
        CHECK(error_of(connect_with(level, 0x08)) == Errc::bad_options);
        CHECK(error_of(connect_with(level, 0x20)) == Errc::bad_options);
        CHECK(error_of(connect_with(level, 0x1C)) == Errc::bad_qos);
    }
    CHECK(error_of(connect_with(4, 0x04, will)) == Errc::none);
    CHECK(error_of(connect_with(4, 0x34, will)) == Errc::none);
    // A password alone is an error in 3.1.1 and allowed in 5.0.
    CHECK(error_of(connect_with(4, 0x40, raw({0, 1, 'p'}))) == Errc::bad_options);
    CHECK(error_of(connect_with(5, 0x40, raw({0, 1, 'p'}))) == Errc::none);
}

TEST_CASE("decode: strings of a CONNECT are UTF-8, a will's topic is a name", "[mqtt]") {
    CHECK(error_of(connect_with(4, 0x80, raw({0, 1, 0xFF}))) == Errc::bad_utf8);
    CHECK(error_of(connect_with(4, 0x04, raw({0, 1, '#', 0, 0}))) == Errc::bad_topic_name);
    CHECK(error_of(connect_with(4, 0x04, raw({0, 0, 0, 0}))) == Errc::bad_topic_name);
    CHECK(error_of(connect_with(4, 0x04, raw({0, 1, 0, 0, 0}))) == Errc::bad_utf8);
    // A password is binary, and so is a will's payload.
    CHECK(error_of(connect_with(4, 0xC0, raw({0, 1, 'u', 0, 1, 0xFF}))) == Errc::none);
    CHECK(error_of(connect_with(4, 0x04, raw({0, 1, 't', 0, 1, 0xFF}))) == Errc::none);
}

TEST_CASE("decode: CONNECT's own flags are 0 and its length is in shortest form in 5.0", "[mqtt]") {
    Buffer bytes = connect_with(5, 0x02);
    bytes[0] = std::byte{0x11};
    CHECK(error_of(bytes) == Errc::reserved_flags);
    for (const unsigned level : {4U, 5U}) {
        Buffer padded = connect_with(level, 0x02);
        padded[1] |= std::byte{0x80};
        padded.insert(padded.begin() + 2, std::byte{0});
        CHECK(error_of(padded) == (level == 5 ? Errc::malformed_length : Errc::none));
    }
}

TEST_CASE(
    "decode: enhanced authentication is refused by name, its data alone is an error",
    "[mqtt]"
) {
    Connect connect;
    connect.level = ProtocolLevel::v5;
    Buffer properties;
    append_text_property(properties, PropertyId::authentication_data, "x");
    connect.properties = properties;
    Buffer bytes;
    encode_connect(bytes, connect);
    CHECK(error_of(bytes) == Errc::bad_property);

    append_text_property(properties, PropertyId::authentication_method, "SCRAM-SHA-256");
    connect.properties = properties;
    bytes.clear();
    encode_connect(bytes, connect);
    CHECK(error_of(bytes) == Errc::authentication_method_not_served);
}

}  // namespace
}  // namespace milepost::mqtt
