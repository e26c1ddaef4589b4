#include "storage/journal/frame.hpp"

#include "storage/journal/errc.hpp"
#include "tests/support/matchers.hpp"
#include "tests/unit/storage/journal/what.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <cstring>
#include <string>
#include <variant>

using namespace milepost;
using namespace milepost::storage;
using milepost::test::what;

namespace {

const JournalKey key{0x1122334455667788, 0x99AABBCCDDEEFF00};
const FramePlace place{.sequence = 7, .position = FilePosition{8192}, .generation = 3};

void add(FrameWriter& writer, std::string_view topic, std::string_view batch) {
    const MutableBytes to = writer.add_records(topic, 5, batch.size());
    REQUIRE(to.size() == batch.size());
    std::memcpy(to.data(), batch.data(), batch.size());
}

Buffer sample() {
    Buffer memory(2 * block_bytes, std::byte{0xEE});
    FrameWriter writer{memory};
    add(writer, "vehicle.telemetry", "batch");
    writer.add_session("client", as_bytes("state"));
    writer.add_session("gone", {});
    const Bytes blocks = writer.seal(place, key);
    return {blocks.begin(), blocks.end()};
}

}  // namespace

TEST_CASE("frame: what goes in comes out", "[frame]") {
    const Buffer blocks = sample();
    REQUIRE(blocks.size() == block_bytes);
    const auto header = decode_frame_header(blocks, key);
    REQUIRE(header);
    CHECK(header->place == place);
    CHECK(header->section_count == 3);
    CHECK(header->total_bytes() == block_bytes);
    const auto payload = check_frame_payload(blocks, *header, key);
    REQUIRE(payload);

    SectionCursor cursor{*payload, header->section_count};
    const auto records = cursor.next();
    REQUIRE(records);
    const auto& first = std::get<RecordsSection>(records->value());
    CHECK(first.topic == "vehicle.telemetry");
    CHECK(first.partition == 5);
    CHECK(as_text(first.batch) == "batch");
    const auto session = std::get<SessionSection>(cursor.next()->value());
    CHECK(session.client_id == "client");
    CHECK(as_text(session.state) == "state");
    CHECK(std::get<SessionSection>(cursor.next()->value()).state.empty());
    const auto end = cursor.next();
    REQUIRE(end);
    CHECK_FALSE(end->has_value());
}

TEST_CASE("frame: its first bytes are those of FORMAT.md", "[frame]") {
    const Buffer blocks = sample();
    CHECK(as_text(Bytes{blocks}.first(4)) == "MPFR");
    CHECK(load_little<std::uint16_t>(blocks.data() + 12) == 1);
    const std::size_t payload = records_section_bytes(17, 5) + session_section_bytes(6, 5) +
                                session_section_bytes(4, 0);
    CHECK(load_little<std::uint32_t>(blocks.data() + 16) == payload);
    CHECK(load_little<std::uint32_t>(blocks.data() + 20) == 3);
    CHECK(load_little<std::uint32_t>(blocks.data() + 24) == 3);
    CHECK(load_little<std::uint64_t>(blocks.data() + 32) == 7);
    CHECK(load_little<std::uint64_t>(blocks.data() + 40) == 8192);
    CHECK(load_little<std::uint16_t>(blocks.data() + 48) == 1);
    CHECK(load_little<std::uint32_t>(blocks.data() + 52) == records_section_bytes(17, 5) - 8);
    CHECK(load_little<std::uint16_t>(blocks.data() + 56) == 17);
}

TEST_CASE("frame: what memory held before does not get to the disk", "[frame]") {
    const Buffer blocks = sample();
    const auto header = decode_frame_header(blocks, key);
    REQUIRE(header);
    const Bytes behind = Bytes{blocks}.subspan(frame_header_bytes + header->payload_bytes);
    CHECK(std::all_of(behind.begin(), behind.end(), [](std::byte b) { return b == std::byte{0}; }));
}

TEST_CASE("frame: whole blocks, header included", "[frame]") {
    STATIC_REQUIRE(frame_bytes(0) == block_bytes);
    STATIC_REQUIRE(frame_bytes(block_bytes - frame_header_bytes) == block_bytes);
    STATIC_REQUIRE(frame_bytes(block_bytes - frame_header_bytes + 1) == 2 * block_bytes);
}

TEST_CASE("frame: one flipped bit anywhere in it is noticed", "[frame]") {
    Buffer blocks = sample();
    const std::size_t used = frame_header_bytes + decode_frame_header(blocks, key)->payload_bytes;
    for (std::size_t bit = 0; bit < used * 8; ++bit) {
        blocks[bit / 8] ^= std::byte{1} << (bit % 8);
        const auto header = decode_frame_header(blocks, key);
        if (bit / 8 < frame_header_bytes) {
            REQUIRE_FALSE(header);
            REQUIRE(what(header.error()) == JournalErrc::torn);
        } else {
            REQUIRE(header);
            REQUIRE_FALSE(check_frame_payload(blocks, *header, key));
        }
        blocks[bit / 8] ^= std::byte{1} << (bit % 8);
    }
}

TEST_CASE("frame: cut anywhere it is torn", "[frame]") {
    const Buffer blocks = sample();
    for (std::size_t length = 0; length < blocks.size(); ++length) {
        const Bytes cut = Bytes{blocks}.first(length);
        const auto header = decode_frame_header(cut, key);
        REQUIRE(header.has_value() == (length >= frame_header_bytes));
        if (header) REQUIRE_FALSE(check_frame_payload(cut, *header, key));
    }
}

TEST_CASE("frame: with another log id or ring key it is not ours", "[frame]") {
    const Buffer blocks = sample();
    CHECK_FALSE(decode_frame_header(blocks, JournalKey{1, 0x99AABBCCDDEEFF00}));
    CHECK_FALSE(decode_frame_header(blocks, JournalKey{0x1122334455667788, 1}));
}

TEST_CASE("frame: a newer version is refused by name", "[frame]") {
    Buffer blocks = sample();
    store_little(blocks.data() + 12, std::uint16_t{2});
    CHECK(
        what(decode_frame_header(blocks, key).error()) == JournalErrc::torn
    );  // rot, not a version
    store_little(blocks.data() + 4, key.crc(Bytes{blocks}.subspan(8, 40)));
    CHECK(what(decode_frame_header(blocks, key).error()) == JournalErrc::newer_version);
}

TEST_CASE("sections: contradictions are errors, not crashes", "[frame]") {
    const Buffer blocks = sample();
    const auto header = decode_frame_header(blocks, key);
    REQUIRE(header);
    const Bytes whole = Bytes{blocks}.subspan(frame_header_bytes, header->payload_bytes);
    Buffer payload{whole.begin(), whole.end()};

    SECTION("an unknown type") {
        store_little(payload.data(), std::uint16_t{9});
        CHECK(what(SectionCursor(payload, 3).next().error()) == JournalErrc::unknown_section);
    }
    SECTION("a body longer than the payload") {
        store_little(payload.data() + 4, std::uint32_t{100'000});
        CHECK(what(SectionCursor(payload, 3).next().error()) == JournalErrc::malformed);
    }
    SECTION("a topic longer than the body") {
        store_little(payload.data() + 8, std::uint16_t{60'000});
        CHECK(what(SectionCursor(payload, 3).next().error()) == JournalErrc::malformed);
    }
    SECTION("a body too short for a partition") {
        store_little(payload.data() + 4, std::uint32_t{2 + 17 + 3});
        CHECK(what(SectionCursor(payload, 3).next().error()) == JournalErrc::malformed);
    }
    SECTION("more sections than there are") {
        SectionCursor cursor{payload, 4};
        for (int i = 0; i < 3; ++i) {
            CHECK(cursor.next());
        }
        CHECK(what(cursor.next().error()) == JournalErrc::malformed);
    }
    SECTION("bytes behind the last") {
        SectionCursor cursor{payload, 1};
        CHECK(cursor.next());
        CHECK(what(cursor.next().error()) == JournalErrc::malformed);
    }
    SECTION("a session without a client id") {
        Buffer session(section_header_bytes + 1);
        store_little(session.data(), std::uint16_t{2});
        store_little(session.data() + 4, std::uint32_t{1});
        CHECK(what(SectionCursor(session, 1).next().error()) == JournalErrc::malformed);
    }
}
