#include "storage/log/segment_reader.hpp"

#include "tests/unit/storage/segments/segment_bench.hpp"

#include <catch2/catch.hpp>

#include <set>

using namespace milepost;
using namespace milepost::storage;
using namespace milepost::test;

namespace {

constexpr int batch_count = 40;
constexpr std::int64_t record_count = batch_count * records_per_batch;

std::unique_ptr<SegmentReader> open(SegmentBench& bench) {
    auto reader = SegmentReader::open(bench.disk, bench.folder, bench.base);
    REQUIRE(reader);
    return std::move(*reader);
}

FilePosition end_of(SegmentReader& reader) {
    return FilePosition{*reader.file_bytes()};
}

// The base offsets that one goes through by reading on from `from`.
std::set<std::int64_t> bases_from(SegmentReader& reader, Offset from, std::size_t bytes_max) {
    std::set<std::int64_t> bases;
    Buffer buffer;
    for (;;) {
        buffer.clear();
        const auto read = reader.read(from, bytes_max, end_of(reader), buffer);
        REQUIRE(read);
        if (read->first == read->next) return bases;
        for (Bytes rest = buffer; !rest.empty();) {
            const auto header = check_batch(rest);
            REQUIRE(header);
            bases.insert(header->base_offset.value());
            rest = rest.subspan(header->total_bytes);
        }
        REQUIRE(read->next > from);
        from = read->next;
    }
}

// Index files that say something, and not the truth.
void spoil_index(SegmentBench& bench, int how) {
    if (how == 1) bench.remove(SegmentFile::offset_index);
    if (how == 1) bench.remove(SegmentFile::time_index);
    if (how == 2) bench.put(SegmentFile::offset_index, Buffer(80, std::byte{0}));
    if (how == 2) bench.put(SegmentFile::time_index, Buffer(120, std::byte{0}));
    if (how < 3) return;
    Buffer offsets;
    Buffer times;
    for (std::uint32_t i = 1; i < 20; ++i) {
        // Rising, and wrong: behind the batch, or in the middle of one.
        append_bytes(offsets, encode(OffsetEntry{i, how == 3 ? 20000 + i : 700 * i}));
        append_bytes(times, encode(TimeEntry{Timestamp{1000 + i}, 100 + i}));
    }
    bench.put(SegmentFile::offset_index, offsets);
    bench.put(SegmentFile::time_index, times);
}

}  // namespace

TEST_CASE("segment reader: every offset is found, whatever the indexes say", "[segment]") {
    SegmentBench bench;
    bench.write(batch_count);
    spoil_index(bench, GENERATE(0, 1, 2, 3, 4));
    const auto reader = open(bench);
    Buffer buffer;
    for (std::int64_t i = record_count - 1; i >= 0; --i) {
        buffer.clear();
        const auto read = reader->read(bench.base + i, 1, end_of(*reader), buffer);
        REQUIRE(read);
        CHECK(read->first == bench.base + i / records_per_batch * records_per_batch);
        CHECK(read->next == read->first + records_per_batch);
        CHECK_FALSE(read->damaged);
        CHECK(buffer == bench.batch(static_cast<int>(i) / records_per_batch));
    }
}

TEST_CASE("segment reader: whole batches up to the asked bytes, at least one", "[segment]") {
    SegmentBench bench;
    bench.write(batch_count);
    const auto reader = open(bench);
    Buffer buffer;
    const std::size_t three = bench.batches(0, 3).size();
    for (const std::size_t bytes_max : {three, three + 1, three + bench.batch(3).size() - 1}) {
        buffer.clear();
        const auto read = reader->read(bench.base, bytes_max, end_of(*reader), buffer);
        REQUIRE(read);
        CHECK(read->next == bench.base + 3 * records_per_batch);
        CHECK(buffer == bench.batches(0, 3));
    }
    for (const std::size_t bytes_max : {std::size_t{0}, three, std::size_t{1000000}}) {
        CHECK(bases_from(*reader, bench.base, bytes_max).size() == batch_count);
    }
}

TEST_CASE("segment reader: what the buffer holds is kept", "[segment]") {
    SegmentBench bench;
    bench.write(2);
    const auto reader = open(bench);
    Buffer buffer{std::byte{'x'}};
    REQUIRE(reader->read(bench.base, 1, end_of(*reader), buffer));
    CHECK(same_bytes(Bytes{buffer}.subspan(1), bench.batch(0)));
}

TEST_CASE("segment reader: nothing is seen behind the published end", "[segment]") {
    SegmentBench bench;
    bench.write(10);
    const auto reader = open(bench);
    const FilePosition end{bench.batches(0, 4).size()};
    Buffer buffer;
    auto read = reader->read(bench.base, 1000000, end, buffer);
    REQUIRE(read);
    CHECK(read->next == bench.base + 4 * records_per_batch);
    read = reader->read(read->next, 1000000, end, buffer);
    REQUIRE(read);
    CHECK(read->first == read->next);
    // And then it is.
    CHECK(bases_from(*reader, bench.base + 4 * records_per_batch, 1000000).size() == 6);
}

TEST_CASE("segment reader: an offset before the segment gives its first batch", "[segment]") {
    SegmentBench bench;
    bench.write(3);
    const auto reader = open(bench);
    Buffer buffer;
    const auto read = reader->read(Offset{0}, 1, end_of(*reader), buffer);
    REQUIRE(read);
    CHECK(read->first == bench.base);
    CHECK_FALSE(read->damaged);
}

TEST_CASE(
    "segment reader: a bit flipped in any byte of a batch hides that batch only",
    "[segment]"
) {
    SegmentBench clean;
    clean.write(5);
    const std::size_t begin = clean.batches(0, 2).size();
    const std::size_t end = clean.batches(0, 3).size();
    for (std::size_t at = begin; at < end; ++at) {
        if (at - begin >= batch_layout::leader_epoch && at - begin < batch_layout::magic) continue;
        SegmentBench bench;
        bench.write(5);
        bench.disk.flip_bit(bench.path(SegmentFile::log), at, static_cast<unsigned>(at % 8));
        const auto reader = open(bench);
        INFO("byte " << at - begin);
        const std::set<std::int64_t> expected{1000, 1004, 1012, 1016};
        CHECK(bases_from(*reader, bench.base, 1) == expected);
        CHECK(bases_from(*reader, bench.base, 1000000) == expected);
        Buffer buffer;
        const auto read = reader->read(Offset{1009}, 1, end_of(*reader), buffer);
        REQUIRE(read);
        CHECK(read->first == Offset{1012});
        CHECK(read->damaged);
    }
}

TEST_CASE("segment reader: a hole is stepped over and is no damage", "[segment]") {
    SegmentBench bench;
    auto writer = SegmentWriter::create(bench.disk, bench.folder, bench.base);
    REQUIRE(writer);
    REQUIRE((*writer)->append(bench.batch(0)));
    REQUIRE((*writer)->append(bench.batch(5)));
    REQUIRE((*writer)->seal());
    const auto reader = open(bench);
    Buffer buffer;
    const auto read = reader->read(bench.base + 6, 1, end_of(*reader), buffer);
    REQUIRE(read);
    CHECK(read->first == bench.base + 5 * records_per_batch);
    CHECK_FALSE(read->damaged);
}

TEST_CASE("segment reader: every timestamp is found, whatever the indexes say", "[segment]") {
    SegmentBench bench;
    bench.write(batch_count);
    spoil_index(bench, GENERATE(0, 1, 2, 3, 4));
    const auto reader = open(bench);
    for (std::int64_t time = 990; time < 1000 + 10 * batch_count; ++time) {
        const auto found = reader->find_timestamp(Timestamp{time}, end_of(*reader));
        REQUIRE(found);
        // Batch i has 1000 + 10 i to 1003 + 10 i.
        const std::int64_t since = std::max<std::int64_t>(time - 1000, 0);
        const std::int64_t expected = since % 10 <= 3 ? since / 10 * 4 + since % 10
                                                      : (since / 10 + 1) * 4;
        if (expected < record_count) {
            CHECK(*found == bench.base + expected);
        } else {
            CHECK_FALSE(found->has_value());
        }
    }
}

TEST_CASE("segment reader: a disk's error is an error", "[segment]") {
    SegmentBench bench;
    bench.write(batch_count);
    const auto reader = open(bench);
    Buffer buffer{std::byte{'x'}};
    for (std::uint64_t nth = 1; nth < 40; ++nth) {
        bench.disk.clear_faults();
        bench.disk.fail(DiskCall::read, nth);
        const auto read = reader->read(
            bench.base + 130,
            100,
            FilePosition{bench.content(SegmentFile::log).size()},
            buffer
        );
        if (!read) CHECK(buffer.size() == 1);
        buffer.resize(1);
    }
}
