#include "storage/log/time_index.hpp"

#include "tests/unit/storage/segments/segment_bench.hpp"

#include <catch2/catch.hpp>

using namespace milepost;
using namespace milepost::storage;
using namespace milepost::test;

namespace {

std::unique_ptr<File> index_file(SegmentBench& bench, std::size_t entries, std::size_t extra) {
    Buffer bytes;
    for (std::uint32_t i = 0; i < entries; ++i) {
        append_bytes(
            bytes,
            encode(TimeEntry{.timestamp = Timestamp{100 + 10 * i}, .relative_offset = i})
        );
    }
    bytes.resize(bytes.size() + extra, std::byte{0});
    bench.put(SegmentFile::time_index, bytes);
    auto file = bench.disk.open(bench.path(SegmentFile::time_index), OpenMode::read);
    REQUIRE(file);
    return std::move(*file);
}

}  // namespace

TEST_CASE("time index: the last entry below a timestamp is found", "[index]") {
    SegmentBench bench;
    const auto entries = GENERATE(as<std::size_t>{}, 0, 1, 2, 3, 100);
    const auto extra = GENERATE(as<std::size_t>{}, 0, 11);
    const auto file = index_file(bench, entries, extra);
    const TimeIndex index{file.get()};
    for (std::int64_t time = 90; time < static_cast<std::int64_t>(120 + 10 * entries); ++time) {
        const auto found = index.before(Timestamp{time});
        if (entries == 0 || time <= 100) {
            CHECK_FALSE(found);
            continue;
        }
        REQUIRE(found);
        const auto expected =
            std::min<std::int64_t>((time - 101) / 10, static_cast<std::int64_t>(entries) - 1);
        CHECK(found->relative_offset == expected);
    }
    CHECK(load_time_index(*file)->size() == entries);
}

TEST_CASE("time index: without a file, or with one that fails, there is no hint", "[index]") {
    CHECK_FALSE(TimeIndex{nullptr}.before(Timestamp{100}));
    SegmentBench bench;
    const auto file = index_file(bench, 10, 0);
    bench.disk.fail(DiskCall::read, 1, {.for_ever = true});
    CHECK_FALSE(TimeIndex{file.get()}.before(Timestamp{1000}));
    CHECK_FALSE(load_time_index(*file));
}

TEST_CASE("time index: entries are plausible as long as they rise", "[index]") {
    const auto entry = [](std::int64_t time, std::uint32_t offset) {
        return TimeEntry{Timestamp{time}, offset};
    };
    CHECK(plausible_entries({entry(1, 3), entry(2, 3), entry(3, 9)}, 10) == 3);
    CHECK(plausible_entries({entry(1, 3), entry(2, 3), entry(3, 9)}, 9) == 2);
    CHECK(plausible_entries({entry(1, 3), entry(1, 4)}, 10) == 1);
    CHECK(plausible_entries({entry(1, 3), entry(2, 2)}, 10) == 1);
    CHECK(plausible_entries({entry(5, 3), entry(0, 0)}, 10) == 1);
}
