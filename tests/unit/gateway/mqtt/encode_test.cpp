// Holds MQTT-2.2.2-1, 3.2.2-1, 3.8.4-2, 3.9.3-1, 3.10.4-5, 3.11.3-1 (3.1.1: MQTT-3.8.4-2, -5,
// 3.9.3-1, -2, 3.10.4-4). What a client sends is held by the decoder's tests.
#include "gateway/mqtt/encode.hpp"

#include "gateway/mqtt/decode.hpp"
#include "tests/support/scripted_device.hpp"
#include "tests/unit/gateway/mqtt/packets.hpp"

#include <catch2/catch.hpp>

#include <array>

namespace milepost::mqtt {
namespace {

using test::hex;
using test::raw;

std::string puback(ProtocolLevel level, ReasonCode reason) {
    std::array<std::byte, answer_bytes_max> bytes{};
    const std::size_t length =
        encode_answer(bytes.data(), level, PacketType::puback, {0x0102, reason});
    return hex(Bytes{bytes}.first(length));
}

TEST_CASE("encode: a PUBACK of success is the same 4 bytes in both versions", "[mqtt]") {
    CHECK(puback(v3, ReasonCode::success) == "40 02 01 02 ");
    CHECK(puback(v5, ReasonCode::success) == "40 02 01 02 ");
    CHECK(puback(v5, ReasonCode::not_authorized) == "40 03 01 02 87 ");
    CHECK(puback(v3, ReasonCode::not_authorized) == "40 02 01 02 ");
}

TEST_CASE("encode: what a server sends", "[mqtt]") {
    Buffer out;
    const auto taken = [&out] {
        return hex(std::exchange(out, {}));
    };
    encode_connack(out, v3, {ReasonCode::success, true, {}});
    CHECK(taken() == "20 02 01 00 ");
    encode_connack(out, v5, {ReasonCode::banned, false, {}});
    CHECK(taken() == "20 03 00 8a 00 ");
    encode_connack(out, v5, {ReasonCode::success, false, raw({36, 1})});
    CHECK(taken() == "20 05 00 00 02 24 01 ");
    encode_suback(out, v3, 9, std::vector{ReasonCode::quota_exceeded, ReasonCode::success});
    CHECK(taken() == "90 04 00 09 80 00 ");
    encode_suback(out, v3, 9, std::vector{ReasonCode::granted_qos_1});
    CHECK(taken() == "90 03 00 09 01 ");
    encode_suback(out, v5, 9, std::vector{ReasonCode::quota_exceeded, ReasonCode::granted_qos_2});
    CHECK(taken() == "90 05 00 09 00 97 02 ");
    encode_unsuback(out, v3, 9, std::vector{ReasonCode::no_subscription_existed});
    CHECK(taken() == "b0 02 00 09 ");
    encode_unsuback(
        out,
        v5,
        9,
        std::vector{ReasonCode::no_subscription_existed, ReasonCode::success}
    );
    CHECK(taken() == "b0 05 00 09 00 11 00 ");
    encode_pingresp(out);
    CHECK(taken() == "d0 00 ");
    encode_disconnect(out, v5, {ReasonCode::session_taken_over, {}});
    CHECK(taken() == "e0 01 8e ");
    encode_ack(out, v5, PacketType::pubcomp, {7, ReasonCode::packet_identifier_not_found});
    CHECK(taken() == "70 03 00 07 92 ");
    encode_ack(out, v3, PacketType::pubrel, {7, ReasonCode::packet_identifier_not_found});
    CHECK(taken() == "62 02 00 07 ");
}

TEST_CASE("encode: what a client says goodbye with", "[mqtt]") {
    Buffer out;
    encode_disconnect(out, v5, {ReasonCode::success, {}});
    encode_disconnect(out, v3, {ReasonCode::disconnect_with_will, 7U});
    encode_disconnect(out, v5, {ReasonCode::disconnect_with_will, 7U});
    CHECK(hex(out) == "e0 00 e0 00 e0 07 04 05 11 00 00 00 07 ");
}

TEST_CASE("encode: 3.1.1's return codes come nearest to the reason", "[mqtt]") {
    CHECK(connect_return_code(ReasonCode::success) == 0);
    CHECK(connect_return_code(ReasonCode::unsupported_protocol_version) == 1);
    CHECK(connect_return_code(ReasonCode::client_identifier_not_valid) == 2);
    CHECK(connect_return_code(ReasonCode::server_busy) == 3);
    CHECK(connect_return_code(ReasonCode::bad_user_name_or_password) == 4);
    CHECK(connect_return_code(ReasonCode::banned) == 5);
}

TEST_CASE("encode: variable integers take the fewest bytes", "[mqtt]") {
    for (const std::uint32_t value :
         {0U, 127U, 128U, 16'383U, 16'384U, 2'097'151U, 2'097'152U, 268'435'455U}) {
        Buffer out = raw({0x30});
        append_variable_int(out, value);
        const FrameResult header = read_frame(out, 0xFFFFFFFF);
        CHECK(header.bytes == out.size() + value);
        CHECK((out.size() == 2 || out.back() != std::byte{0}));
    }
}

TEST_CASE("encode: a CONNACK can be read back", "[mqtt]") {
    Buffer out;
    encode_connack(out, v5, {ReasonCode::success, true, raw({36, 1})});
    Connack connack;
    REQUIRE(decode_connack(read_frame(out, 100).frame, v5, connack) == Errc::none);
    CHECK(connack.session_present);
    CHECK(find_number(connack.properties, PropertyId::maximum_qos) == 1U);
}

}  // namespace
}  // namespace milepost::mqtt
