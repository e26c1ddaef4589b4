#include "storage/log/segment_indexes.hpp"

#include "storage/format/index_entry.hpp"
#include "tests/unit/storage/segments/segment_bench.hpp"

#include <catch2/catch.hpp>

#include <functional>

using namespace milepost;
using namespace milepost::storage;
using namespace milepost::test;

TEST_CASE("segment indexes: ours for a broker's segment are the broker's", "[segment][golden]") {
    const std::string codec = GENERATE(
        "none",
        "gzip",
        "snappy",
        "lz4",
        "zstd",
        "transactions",
        "append_time",
        "compacted"
    );
    SegmentBench bench{Offset{0}};
    const Buffer log = golden_file(codec, SegmentFile::log);
    bench.put(SegmentFile::log, log);
    REQUIRE(mend_indexes(bench.disk, bench.folder, bench.base, log.size()));
    CHECK(
        bench.content(SegmentFile::offset_index) == golden_file(codec, SegmentFile::offset_index)
    );
    CHECK(bench.content(SegmentFile::time_index) == golden_file(codec, SegmentFile::time_index));
}

TEST_CASE("segment indexes: a broker's own are sound", "[segment][golden]") {
    const std::string codec = GENERATE(
        "none",
        "gzip",
        "snappy",
        "lz4",
        "zstd",
        "transactions",
        "append_time",
        "compacted"
    );
    SegmentBench bench{Offset{0}};
    for (const auto kind : all_kinds) {
        bench.put(kind, golden_file(codec, kind));
    }
    const auto state = mend_indexes(
        bench.disk,
        bench.folder,
        bench.base,
        golden_file(codec, SegmentFile::log).size()
    );
    REQUIRE(state);
    CHECK(*state == IndexState::sound);
}

TEST_CASE(
    "segment indexes: time entries rise strictly, also when the clock does not",
    "[segment]"
) {
    SegmentIndexes indexes{Offset{0}};
    BatchHeader header;
    header.total_bytes = 5000;
    const std::vector<std::int64_t> times{100, 100, 90, 110, 50};
    for (std::size_t i = 0; i < times.size(); ++i) {
        header.base_offset = Offset{static_cast<std::int64_t>(i)};
        header.max_timestamp = Timestamp{times[i]};
        indexes.note(header, 5000 * i);
    }
    CHECK(indexes.offset_entries.size() == 4 * offset_entry_bytes);
    REQUIRE(indexes.time_entries.size() == 2 * time_entry_bytes);
    const auto second = decode_time_entry(Bytes{indexes.time_entries}.last<time_entry_bytes>());
    CHECK(second == TimeEntry{Timestamp{110}, 3});
    indexes.finish();
    CHECK(indexes.time_entries.size() == 2 * time_entry_bytes);
}

TEST_CASE("segment indexes: a missing or wrong index is mended", "[segment]") {
    struct Case {
        const char* name;
        std::function<void(SegmentBench&)> spoil;
    };

    const std::vector<Case> cases{
        {"no .index",
         [](auto& b) {
             b.remove(SegmentFile::offset_index);
         }},
        {"no .timeindex",
         [](auto& b) {
             b.remove(SegmentFile::time_index);
         }},
        {"empty .index",
         [](auto& b) {
             b.put(SegmentFile::offset_index, {});
         }},
        {"torn .index",
         [](auto& b) {
             b.disk.cut(b.path(SegmentFile::offset_index), 13);
         }},
        {"torn .timeindex",
         [](auto& b) {
             b.disk.cut(b.path(SegmentFile::time_index), 13);
         }},
        {"zeros",
         [](auto& b) {
             b.put(SegmentFile::offset_index, Buffer(80, std::byte{0}));
         }},
        {"last entry wrong",
         [](auto& b) {
             b.disk.flip_bit(
                 b.path(SegmentFile::offset_index),
                 b.content(SegmentFile::offset_index).size() - 1,
                 2
             );
         }},
    };
    for (const Case& each : cases) {
        INFO(each.name);
        SegmentBench bench;
        bench.write(40);
        const Buffer offsets = bench.content(SegmentFile::offset_index);
        const Buffer times = bench.content(SegmentFile::time_index);
        const std::uint64_t end = bench.content(SegmentFile::log).size();
        each.spoil(bench);
        const auto state = mend_indexes(bench.disk, bench.folder, bench.base, end);
        REQUIRE(state);
        CHECK(*state == IndexState::mended);
        CHECK(bench.content(SegmentFile::offset_index) == offsets);
        CHECK(bench.content(SegmentFile::time_index) == times);
        CHECK(*mend_indexes(bench.disk, bench.folder, bench.base, end) == IndexState::sound);
    }
}
