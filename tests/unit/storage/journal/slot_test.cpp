#include "storage/journal/slot.hpp"

#include "storage/journal/errc.hpp"
#include "tests/support/matchers.hpp"
#include "tests/unit/storage/journal/what.hpp"

#include <catch2/catch.hpp>

#include <string>

using namespace milepost;
using namespace milepost::storage;
using milepost::test::what;

namespace {

const JournalKey key{1, 2};

Slot sample(std::size_t partitions) {
    Slot slot{.sequence = 5, .generation = 2, .checkpoint = {}};
    Checkpoint& checkpoint = slot.checkpoint;
    checkpoint.first_needed_sequence = 40;
    checkpoint.first_needed_position = FilePosition{270336};
    checkpoint.next_sequence = 44;
    checkpoint.wall = Timestamp{1795393770318};
    checkpoint.monotonic_ms = 123;
    for (std::size_t i = 0; i < partitions; ++i) {
        checkpoint.partitions.push_back({
            .name = {"topic" + std::to_string(i), static_cast<std::int32_t>(i)},
            .start = Offset{1},
            .next = Offset{static_cast<std::int64_t>(i) + 100},
            .active_base = Offset{50},
            .active_bytes = 4711,
        });
    }
    return slot;
}

}  // namespace

TEST_CASE("slot: what goes in comes out, in whole blocks", "[slot]") {
    const std::size_t partitions = GENERATE(0U, 1U, 300U);
    const Slot slot = sample(partitions);
    const auto bytes = encode_slot(slot, key);
    REQUIRE(bytes);
    CHECK(bytes->size() % block_bytes == 0);
    const auto decoded = decode_slot(*bytes, key);
    REQUIRE(decoded);
    CHECK(decoded->sequence == 5);
    CHECK(decoded->generation == 2);
    CHECK(decoded->checkpoint == slot.checkpoint);
}

TEST_CASE("slot: its first bytes are those of FORMAT.md", "[slot]") {
    const auto bytes = encode_slot(sample(1), key);
    REQUIRE(bytes);
    CHECK(as_text(Bytes{*bytes}.first(4)) == "MPSL");
    CHECK(load_little<std::uint32_t>(bytes->data() + 12) == 72 + 2 + 6 + 4 + 32);
    CHECK(load_little<std::uint64_t>(bytes->data() + 16) == 5);
    CHECK(load_little<std::uint64_t>(bytes->data() + 24) == 40);
    CHECK(load_little<std::uint64_t>(bytes->data() + 40) == 44);
    CHECK(load_little<std::uint32_t>(bytes->data() + 68) == 1);
    CHECK(as_text(Bytes{*bytes}.subspan(74, 6)) == "topic0");
}

TEST_CASE("slot: one flipped bit, or a cut, anywhere in it is noticed", "[slot]") {
    auto bytes = encode_slot(sample(2), key);
    REQUIRE(bytes);
    const std::size_t used = load_little<std::uint32_t>(bytes->data() + 12);
    for (std::size_t bit = 0; bit < used * 8; ++bit) {
        (*bytes)[bit / 8] ^= std::byte{1} << (bit % 8);
        REQUIRE(what(decode_slot(*bytes, key).error()) == JournalErrc::torn);
        (*bytes)[bit / 8] ^= std::byte{1} << (bit % 8);
    }
    for (std::size_t length = 0; length < used; ++length) {
        REQUIRE_FALSE(decode_slot(Bytes{*bytes}.first(length), key));
    }
    CHECK(decode_slot(Bytes{*bytes}.first(used), key));
}

TEST_CASE("slot: more partitions than fit are refused, not cut", "[slot]") {
    CHECK(what(encode_slot(sample(5000), key).error()) == JournalErrc::slot_too_large);
}

TEST_CASE("slot: whole but contradictory is malformed", "[slot]") {
    auto bytes = encode_slot(sample(2), key);
    REQUIRE(bytes);
    const std::size_t used = load_little<std::uint32_t>(bytes->data() + 12);
    const auto seal = [&] {
        store_little(bytes->data() + 4, key.crc(Bytes{*bytes}.subspan(8, used - 8)));
    };
    SECTION("a newer version") {
        store_little(bytes->data() + 8, std::uint16_t{2});
        seal();
        CHECK(what(decode_slot(*bytes, key).error()) == JournalErrc::newer_version);
    }
    SECTION("too many partitions") {
        store_little(bytes->data() + 68, std::uint32_t{0xFFFFFFFF});
        seal();
        CHECK(what(decode_slot(*bytes, key).error()) == JournalErrc::malformed);
    }
    SECTION("too few partitions") {
        store_little(bytes->data() + 68, std::uint32_t{1});
        seal();
        CHECK(what(decode_slot(*bytes, key).error()) == JournalErrc::malformed);
    }
    SECTION("a topic longer than the slot") {
        store_little(bytes->data() + 72, std::uint16_t{60'000});
        seal();
        CHECK(what(decode_slot(*bytes, key).error()) == JournalErrc::malformed);
    }
}
