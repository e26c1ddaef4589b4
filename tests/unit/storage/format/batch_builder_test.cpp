#include "storage/format/batch_builder.hpp"

#include "storage/format/errc.hpp"
#include "tests/support/matchers.hpp"

#include <catch2/catch.hpp>

#include <array>
#include <limits>
#include <string>
#include <vector>

using namespace milepost;
using namespace milepost::storage;

namespace {

RecordView reading(std::int64_t timestamp, std::string_view value) {
    return {
        .timestamp = Timestamp{timestamp},
        .key = as_bytes("V1"),
        .value = as_bytes(value),
        .headers = {}};
}

std::vector<StoredRecord> records_of(Bytes batch, Buffer& scratch) {
    const auto header = check_batch(batch);
    REQUIRE(header);
    auto cursor = RecordCursor::open(batch, *header, scratch);
    REQUIRE(cursor);
    std::vector<StoredRecord> records;
    for (;;) {
        const auto record = cursor->next();
        REQUIRE(record);
        if (!record->has_value()) return records;
        records.push_back(**record);
    }
}

std::string hex(Bytes bytes) {
    constexpr std::string_view digits = "0123456789abcdef";
    std::string text;
    for (const std::byte byte : bytes) {
        text += digits[std::to_integer<unsigned>(byte) >> 4U];
        text += digits[std::to_integer<unsigned>(byte) & 15U];
    }
    return text;
}

}  // namespace

TEST_CASE("batch builder: the example of FORMAT.md has those bytes", "[batch]") {
    const std::array<HeaderView, 1> headers{{{.name = "mqtt.retain", .value = as_bytes("1")}}};
    BatchBuilder builder;
    builder.start(Offset{100});
    CHECK(builder.add(reading(1795393770318, R"({"a":1})")) == Offset{100});
    auto second = reading(1795393770323, "{}");
    second.headers = headers;
    CHECK(builder.add(second) == Offset{101});
    CHECK(builder.plain_bytes() == 102);
    CHECK(
        hex(builder.finish_plain()) ==
        "00000000000000640000005a00000000"
        "027f104a460000000000010000"
        "01a205"
        "ced34e000001a205ced353ffffffffff"
        "ffffffffffffffffff000000021e0000"
        "000456310e7b2261223a317d0030000a"
        "02045631047b7d02166d7174742e7265"
        "7461696e0231"
    );
}

TEST_CASE("batch builder: every part of a record comes back, with every codec", "[batch]") {
    const auto codec = GENERATE(Codec::none, Codec::lz4, Codec::zstd);
    const std::array<HeaderView, 2> headers{
        {{.name = "content-type", .value = as_bytes("application/json")},
         {.name = "", .value = {}}}};
    const std::string large(100000, 'x');
    BatchBuilder builder;
    builder.start(Offset{std::int64_t{1} << 40});
    builder.add({Timestamp{1000}, as_bytes("key"), as_bytes(large), headers});
    builder.add({Timestamp{999}, {}, {}, {}});  // the clock went back; empty key and value
    builder.add({Timestamp{5000}, as_bytes("key"), as_bytes("v"), {}});
    CHECK(builder.max_timestamp() == Timestamp{5000});
    Buffer batch;
    REQUIRE(builder.finish(codec, batch));

    const auto header = check_batch(batch);
    REQUIRE(header);
    CHECK(header->base_offset == Offset{std::int64_t{1} << 40});
    CHECK(header->record_count == 3);
    CHECK(header->next_offset() == builder.next_offset());
    CHECK(header->base_timestamp == Timestamp{1000});
    CHECK(header->max_timestamp == Timestamp{5000});
    CHECK(header->codec == codec);
    CHECK_FALSE(header->is_control);
    CHECK_FALSE(header->is_transactional);

    Buffer scratch;
    const auto records = records_of(batch, scratch);
    REQUIRE(records.size() == 3);
    CHECK(as_text(*records[0].value) == large);
    CHECK(records[0].header_count == 2);
    HeaderCursor cursor{records[0]};
    CHECK(as_text(cursor.next()->value) == "application/json");
    CHECK(records[1].timestamp == Timestamp{999});
    CHECK(records[1].key->empty());
    CHECK(records[1].value->empty());
    CHECK(records[2].offset - records[0].offset == 2);
}

TEST_CASE("batch builder: a stored record is copied whole, null and all", "[batch]") {
    const std::string raw_header{
        "\x02"
        "a"
        "\x01",
        3};
    StoredRecord tombstone;
    tombstone.timestamp = Timestamp{7};
    tombstone.raw_headers = as_bytes(raw_header);
    tombstone.header_count = 1;
    BatchBuilder builder;
    builder.start(Offset{3});
    builder.add(tombstone);
    Buffer scratch;
    const auto records = records_of(builder.finish_plain(), scratch);
    REQUIRE(records.size() == 1);
    CHECK_FALSE(records[0].key);
    CHECK_FALSE(records[0].value);
    CHECK(as_text(records[0].raw_headers) == raw_header);
}

TEST_CASE("batch builder: what would grow when compressed is left as it is", "[batch]") {
    BatchBuilder builder;
    builder.start(Offset{0});
    builder.add(reading(1, "k"));
    Buffer batch;
    REQUIRE(builder.finish(Codec::zstd, batch));
    CHECK(check_batch(batch)->codec == Codec::none);
    CHECK(batch.size() == builder.plain_bytes());
}

TEST_CASE("batch builder: a codec that is only read leaves the target alone", "[batch]") {
    BatchBuilder builder;
    builder.start(Offset{0});
    builder.add(reading(1, "k"));
    Buffer to{std::byte{'x'}};
    CHECK(builder.finish(Codec::snappy, to).error() == FormatErrc::unsupported_codec);
    CHECK(to.size() == 1);
}

TEST_CASE("batch builder: start() forgets what was collected", "[batch]") {
    BatchBuilder builder;
    builder.start(Offset{0});
    builder.add(reading(100, "a"));
    builder.start(Offset{9});
    CHECK(builder.empty());
    builder.add(reading(50, "b"));
    const auto header = check_batch(builder.finish_plain());
    REQUIRE(header);
    CHECK(header->base_offset == Offset{9});
    CHECK(header->max_timestamp == Timestamp{50});
    CHECK(header->record_count == 1);
}

TEST_CASE("batch builder: record_bytes_max is never too small", "[batch]") {
    const std::array<HeaderView, 1> headers{{{.name = "n", .value = as_bytes("v")}}};
    BatchBuilder builder;
    builder.start(Offset{0});
    builder.add(reading(0, ""));
    for (const std::size_t bytes :
         {std::size_t{0}, std::size_t{63}, std::size_t{64}, std::size_t{70000}}) {
        const std::string value(bytes, 'v');
        const RecordView record{
            Timestamp{std::numeric_limits<std::int64_t>::max()},
            as_bytes(value),
            as_bytes(value),
            headers};
        const std::size_t before = builder.plain_bytes();
        builder.add(record);
        CHECK(builder.plain_bytes() - before <= record_bytes_max(record));
    }
}

TEST_CASE(
    "batch builder: what is skipped is a hole, and the records keep their offsets",
    "[batch]"
) {
    BatchBuilder builder;
    builder.start(Offset{100});
    builder.add(reading(10, "a"));
    builder.skip_to(Offset{105});
    CHECK(builder.add(reading(20, "b")) == Offset{105});
    CHECK(builder.next_offset() == Offset{106});
    Buffer scratch;
    const auto batch = builder.finish_plain();
    const auto records = records_of(batch, scratch);
    REQUIRE(records.size() == 2);
    CHECK(records[0].offset == Offset{100});
    CHECK(records[1].offset == Offset{105});
    CHECK(check_batch(batch)->next_offset() == Offset{106});
    builder.start(Offset{7});
    CHECK(builder.add(reading(10, "c")) == Offset{7});
}
