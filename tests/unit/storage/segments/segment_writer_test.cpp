#include "storage/log/segment_writer.hpp"

#include "storage/base/units.hpp"
#include "storage/format/errc.hpp"
#include "storage/format/index_entry.hpp"
#include "tests/unit/storage/segments/segment_bench.hpp"

#include <catch2/catch.hpp>

#include <limits>

using namespace milepost;
using namespace milepost::storage;
using namespace milepost::test;

namespace {

constexpr int batch_count = 40;

struct Files {
    Buffer log;
    Buffer offsets;
    Buffer times;

    friend bool operator==(const Files&, const Files&) = default;
};

Files files_of(const SegmentBench& bench) {
    return {
        bench.content(SegmentFile::log),
        bench.content(SegmentFile::offset_index),
        bench.content(SegmentFile::time_index)};
}

// Goes on with a recovered segment to its end.
void finish(SegmentBench& bench, SegmentWriter& writer) {
    for (auto i = static_cast<int>((writer.next_offset() - bench.base) / records_per_batch);
         i < batch_count;
         ++i) {
        REQUIRE(writer.append(bench.batch(i)));
    }
    REQUIRE(writer.seal());
}

}  // namespace

TEST_CASE("segment writer: the log is the batches, one after the other", "[segment]") {
    SegmentBench bench;
    auto writer = SegmentWriter::create(bench.disk, bench.folder, bench.base);
    REQUIRE(writer);
    REQUIRE((*writer)->append(bench.batch(0)));
    REQUIRE((*writer)->append(bench.batches(1, 5)));
    CHECK((*writer)->next_offset() == Offset{1020});
    CHECK((*writer)->max_timestamp() == Timestamp{1043});
    CHECK((*writer)->synced_bytes() == 0);
    REQUIRE((*writer)->sync());
    CHECK((*writer)->synced_bytes() == (*writer)->bytes());
    CHECK(bench.content(SegmentFile::log) == bench.batches(0, 5));
}

TEST_CASE("segment writer: an index entry for each batch more than 4096 bytes on", "[segment]") {
    SegmentBench bench;
    bench.write(batch_count);
    std::uint64_t position = 0;
    std::uint64_t indexed = 0;
    Buffer expected;
    for (int i = 0; i < batch_count; ++i) {
        if (position > indexed + 4096) {
            append_bytes(
                expected,
                encode(OffsetEntry{
                    static_cast<std::uint32_t>(records_per_batch * i + records_per_batch - 1),
                    static_cast<std::uint32_t>(position)})
            );
            indexed = position;
        }
        position += bench.batch(i).size();
    }
    CHECK(expected.size() > 5 * offset_entry_bytes);
    CHECK(bench.content(SegmentFile::offset_index) == expected);
    const Buffer times = bench.content(SegmentFile::time_index);
    // Each with a time entry; the last batch has one already, so the end adds none.
    CHECK(indexed + bench.batch(batch_count - 1).size() == position);
    CHECK(times.size() == expected.size() / offset_entry_bytes * time_entry_bytes);
    const auto last = decode_time_entry(Bytes{times}.last<time_entry_bytes>());
    CHECK(last == TimeEntry{Timestamp{1000 + 10 * (batch_count - 1) + 3}, 4 * batch_count - 1});
}

TEST_CASE("segment writer: what was synced survives a power cut", "[segment]") {
    SegmentBench bench;
    auto writer = SegmentWriter::create(bench.disk, bench.folder, bench.base);
    REQUIRE(writer);
    REQUIRE((*writer)->append(bench.batches(0, 20)));
    REQUIRE((*writer)->sync());
    REQUIRE((*writer)->append(bench.batches(20, 30)));
    bench.disk.power_cut();
    const Buffer log = bench.content(SegmentFile::log);
    const Buffer synced = bench.batches(0, 20);
    REQUIRE(log.size() >= synced.size());
    CHECK(same_bytes(Bytes{log}.first(synced.size()), synced));
}

TEST_CASE(
    "segment writer: cut behind any batch and gone on with, the files are the same",
    "[segment]"
) {
    SegmentBench whole;
    whole.write(batch_count);
    const Files expected = files_of(whole);
    for (int kept = 0; kept <= batch_count; ++kept) {
        INFO(kept << " batches kept");
        SegmentBench bench;
        bench.write(batch_count);
        auto writer = SegmentWriter::recover(
            bench.disk,
            bench.folder,
            bench.base,
            bench.batches(0, kept).size()
        );
        REQUIRE(writer);
        CHECK((*writer)->next_offset() == bench.base + records_per_batch * kept);
        CHECK((*writer)->bytes() == bench.batches(0, kept).size());
        CHECK(
            (*writer)->max_timestamp() ==
            (kept == 0 ? timestamp_none : Timestamp{1000 + 10 * (kept - 1) + 3})
        );
        finish(bench, **writer);
        CHECK(files_of(bench) == expected);
    }
}

TEST_CASE("segment writer: indexes cut at any byte are made whole again", "[segment]") {
    SegmentBench whole;
    whole.write(batch_count);
    const Files expected = files_of(whole);
    for (const auto kind : {SegmentFile::offset_index, SegmentFile::time_index}) {
        const std::size_t bytes = whole.content(kind).size();
        for (std::size_t cut = 0; cut < bytes; ++cut) {
            SegmentBench bench;
            bench.write(batch_count);
            bench.disk.cut(bench.path(kind), cut);
            auto writer = SegmentWriter::recover(
                bench.disk,
                bench.folder,
                bench.base,
                bench.batches(0, 30).size()
            );
            REQUIRE(writer);
            finish(bench, **writer);
            CHECK(files_of(bench) == expected);
        }
    }
}

TEST_CASE("segment writer: a missing or foreign index is made again", "[segment]") {
    SegmentBench whole;
    whole.write(batch_count);
    const Files expected = files_of(whole);
    const auto kind = GENERATE(SegmentFile::offset_index, SegmentFile::time_index);
    const auto filler = GENERATE(0, 1, 255);
    SegmentBench bench;
    bench.write(batch_count);
    if (filler == 1) {
        bench.remove(kind);
    } else {
        bench.put(kind, Buffer(240, static_cast<std::byte>(filler)));
    }
    auto writer =
        SegmentWriter::recover(bench.disk, bench.folder, bench.base, bench.batches(0, 30).size());
    REQUIRE(writer);
    finish(bench, **writer);
    CHECK(files_of(bench) == expected);
}

TEST_CASE("segment writer: a log shorter than it should be is an error", "[segment]") {
    SegmentBench bench;
    bench.write(3);
    const auto writer = SegmentWriter::recover(bench.disk, bench.folder, bench.base, 100000);
    REQUIRE_FALSE(writer);
    CHECK(writer.error() == FormatErrc::short_read);
}

TEST_CASE("segment writer: a failed append changes nothing and may be tried again", "[segment]") {
    SegmentBench bench;
    auto writer = SegmentWriter::create(bench.disk, bench.folder, bench.base);
    REQUIRE(writer);
    REQUIRE((*writer)->append(bench.batch(0)));
    bench.disk.fail(DiskCall::write, 1, {.error = 28, .short_bytes = 33});
    CHECK_FALSE((*writer)->append(bench.batch(1)));
    CHECK((*writer)->next_offset() == Offset{1004});
    CHECK(bench.content(SegmentFile::log) == bench.batch(0));
    REQUIRE((*writer)->append(bench.batch(1)));
    CHECK(bench.content(SegmentFile::log) == bench.batches(0, 2));
}

TEST_CASE("segment writer: a failed sync is final", "[segment]") {
    SegmentBench bench;
    auto writer = SegmentWriter::create(bench.disk, bench.folder, bench.base);
    REQUIRE(writer);
    REQUIRE((*writer)->append(bench.batch(0)));
    REQUIRE((*writer)->sync());
    REQUIRE((*writer)->append(bench.batch(1)));
    bench.disk.fail(DiskCall::sync, 1);
    const auto failed = (*writer)->sync();
    REQUIRE_FALSE(failed);
    CHECK((*writer)->sync().error() == failed.error());
    CHECK((*writer)->append(bench.batch(2)).error() == failed.error());
    CHECK((*writer)->synced_bytes() == bench.batch(0).size());
}

TEST_CASE("segment writer: indexes that cannot be written do not stop a sync", "[segment]") {
    SegmentBench bench;
    auto writer = SegmentWriter::create(bench.disk, bench.folder, bench.base);
    REQUIRE(writer);
    REQUIRE((*writer)->append(bench.batches(0, batch_count)));
    bench.disk.fail(DiskCall::write, 1, {.error = 28});
    REQUIRE((*writer)->sync());
    REQUIRE((*writer)->seal());
    SegmentBench whole;
    whole.write(batch_count);
    CHECK(files_of(bench) == files_of(whole));
}

TEST_CASE("segment writer: what is out of order, cut or too far is refused", "[segment]") {
    SegmentBench bench;
    auto writer = SegmentWriter::create(bench.disk, bench.folder, bench.base);
    REQUIRE(writer);
    REQUIRE((*writer)->append(bench.batch(1)));
    CHECK((*writer)->append(bench.batch(0)).error() == FormatErrc::malformed_batch);
    CHECK((*writer)->append(bench.batch(1)).error() == FormatErrc::malformed_batch);
    CHECK((*writer)->append(Bytes{bench.batch(2)}.first(70)).error() == FormatErrc::short_read);
    CHECK((*writer)->append(bench.batch(600000000)).error() == FormatErrc::malformed_batch);
    REQUIRE((*writer)->append(bench.batch(2)));
}

TEST_CASE("segment writer: a segment ends before its size or its offsets do", "[segment]") {
    SegmentBench bench;
    auto writer = SegmentWriter::create(bench.disk, bench.folder, bench.base);
    REQUIRE(writer);
    constexpr std::int64_t relative_max = std::numeric_limits<std::int32_t>::max();
    CHECK((*writer)->fits(10 * mib, bench.base + 5, 1 * mib));  // alone
    REQUIRE((*writer)->append(bench.batch(0)));
    const std::size_t used = bench.batch(0).size();
    CHECK((*writer)->fits(1 * mib - used, bench.base + 5, 1 * mib));
    CHECK_FALSE((*writer)->fits(1 * mib - used + 1, bench.base + 5, 1 * mib));
    CHECK((*writer)->fits(1, bench.base + relative_max, 1 * mib));
    CHECK_FALSE((*writer)->fits(1, bench.base + relative_max + 1, 1 * mib));
    CHECK_FALSE((*writer)->fits(relative_max, bench.base + 5, 10 * gib));
}

TEST_CASE("segment writer: a segment that exists is not made anew", "[segment]") {
    SegmentBench bench;
    bench.write(1);
    CHECK_FALSE(SegmentWriter::create(bench.disk, bench.folder, bench.base));
}
