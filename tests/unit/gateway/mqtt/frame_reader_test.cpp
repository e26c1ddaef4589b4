// Holds MQTT-1.5.5-1 and the limits of MQTT 5.0, section 2.1.4.
#include "gateway/mqtt/frame_reader.hpp"

#include "gateway/mqtt/encode.hpp"
#include "tests/support/scripted_device.hpp"

#include <catch2/catch.hpp>

namespace milepost::mqtt {
namespace {

using test::raw;

constexpr std::size_t no_limit = 0xFFFFFFFF;

Buffer packet(std::size_t body_bytes) {
    Buffer bytes = raw({0x32});
    append_variable_int(bytes, static_cast<std::uint32_t>(body_bytes));
    bytes.resize(bytes.size() + body_bytes);
    return bytes;
}

TEST_CASE("frame reader: a packet is whole when its last byte is there", "[mqtt]") {
    for (const std::size_t body : {0U, 1U, 127U, 128U, 16'383U, 16'384U, 2'097'151U, 2'097'152U}) {
        const Buffer bytes = packet(body);
        const FrameResult whole = read_frame(bytes, no_limit);
        REQUIRE(whole.status == FrameStatus::whole);
        CHECK(whole.bytes == bytes.size());
        CHECK(whole.frame.body.size() == body);
        CHECK(whole.frame.type() == PacketType::publish);
        CHECK(whole.frame.flags() == 2);
        CHECK(whole.frame.is_length_minimal);

        const FrameResult torn = read_frame(Bytes{bytes}.first(bytes.size() - 1), no_limit);
        CHECK(torn.status == FrameStatus::need_more);
        CHECK(torn.bytes <= bytes.size());
    }
}

TEST_CASE("frame reader: says how much input the next try needs", "[mqtt]") {
    const Buffer bytes = packet(300);
    CHECK(read_frame({}, no_limit).bytes == 2);
    CHECK(read_frame(Bytes{bytes}.first(1), no_limit).bytes == 2);
    CHECK(read_frame(Bytes{bytes}.first(2), no_limit).bytes == 3);
    CHECK(read_frame(Bytes{bytes}.first(3), no_limit).bytes == 303);
    CHECK(read_frame(Bytes{bytes}.first(302), no_limit).bytes == 303);
}

TEST_CASE("frame reader: looks at the first packet only", "[mqtt]") {
    const Buffer bytes = packet(3) + packet(5);
    CHECK(read_frame(bytes, no_limit).bytes == 5);
}

TEST_CASE("frame reader: a packet above the limit is known by its header", "[mqtt]") {
    constexpr std::size_t limit = 1000;
    CHECK(read_frame(packet(997), limit).status == FrameStatus::whole);
    CHECK(read_frame(packet(998), limit).status == FrameStatus::too_large);
    CHECK(read_frame(Bytes{packet(998)}.first(3), limit).status == FrameStatus::too_large);
    CHECK(read_frame(Bytes{packet(98)}.first(2), 99).status == FrameStatus::too_large);
    CHECK(read_frame(raw({0x32, 0xFF, 0xFF, 0xFF, 0x7F}), limit).status == FrameStatus::too_large);
}

TEST_CASE("frame reader: a fifth length byte is malformed", "[mqtt]") {
    CHECK(
        read_frame(raw({0x32, 0x80, 0x80, 0x80, 0x80}), no_limit).status == FrameStatus::malformed
    );
    CHECK(read_frame(raw({0x32, 0xFF, 0xFF, 0xFF}), no_limit).status == FrameStatus::need_more);
}

TEST_CASE("frame reader: a length not in its shortest form is read and told", "[mqtt]") {
    for (const Buffer& bytes :
         {raw({0xC0, 0x80, 0x00}),
          raw({0xC0, 0x80, 0x80, 0x00}),
          raw({0xC0, 0x80, 0x80, 0x80, 0x00})}) {
        const FrameResult result = read_frame(bytes, no_limit);
        CHECK(result.status == FrameStatus::whole);
        CHECK(result.bytes == bytes.size());
        CHECK_FALSE(result.frame.is_length_minimal);
    }
}

}  // namespace
}  // namespace milepost::mqtt
