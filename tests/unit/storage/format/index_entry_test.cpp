#include "storage/format/index_entry.hpp"

#include <catch2/catch.hpp>

#include <vector>

using namespace milepost;
using namespace milepost::storage;

TEST_CASE("index entry: the example of FORMAT.md has those bytes", "[index]") {
    const OffsetEntry offset{.relative_offset = 1, .position = 4200};
    const auto offset_bytes = encode(offset);
    CHECK(load_big<std::uint64_t>(offset_bytes.data()) == 0x00000001'00001068U);
    CHECK(decode_offset_entry(offset_bytes) == offset);

    const TimeEntry time{.timestamp = Timestamp{1795393770323}, .relative_offset = 1};
    const auto time_bytes = encode(time);
    CHECK(load_big<std::uint64_t>(time_bytes.data()) == 0x000001a2'05ced353U);
    CHECK(load_big<std::uint32_t>(time_bytes.data() + 8) == 1);
    CHECK(decode_time_entry(time_bytes) == time);
}

TEST_CASE("index entry: the largest numbers come back", "[index]") {
    const OffsetEntry offset{.relative_offset = 0xffffffffU, .position = 0xfffffffeU};
    CHECK(decode_offset_entry(encode(offset)) == offset);
    const TimeEntry time{.timestamp = timestamp_none, .relative_offset = 0xffffffffU};
    CHECK(decode_time_entry(encode(time)) == time);
}
