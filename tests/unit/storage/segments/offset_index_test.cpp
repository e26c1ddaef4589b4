#include "storage/log/offset_index.hpp"

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
            encode(OffsetEntry{.relative_offset = 10 * i + 5, .position = 5000 * i})
        );
    }
    bytes.resize(bytes.size() + extra, std::byte{0});
    bench.put(SegmentFile::offset_index, bytes);
    auto file = bench.disk.open(bench.path(SegmentFile::offset_index), OpenMode::read);
    REQUIRE(file);
    return std::move(*file);
}

}  // namespace

TEST_CASE("offset index: the last entry below an offset is found", "[index]") {
    SegmentBench bench;
    const auto entries = GENERATE(as<std::size_t>{}, 0, 1, 2, 3, 100);
    const auto extra = GENERATE(as<std::size_t>{}, 0, 7);
    const auto file = index_file(bench, entries, extra);
    const OffsetIndex index{file.get()};
    for (std::uint32_t offset = 0; offset < 10 * entries + 20; ++offset) {
        const auto found = index.before(offset);
        if (entries == 0 || offset <= 5) {
            CHECK_FALSE(found);
            continue;
        }
        REQUIRE(found);
        const auto expected =
            std::min<std::uint32_t>((offset - 6) / 10, static_cast<std::uint32_t>(entries) - 1);
        CHECK(found->position == 5000 * expected);
    }
    CHECK(load_offset_index(*file)->size() == entries);
}

TEST_CASE("offset index: without a file, or with one that fails, there is no hint", "[index]") {
    CHECK_FALSE(OffsetIndex{nullptr}.before(100));
    SegmentBench bench;
    const auto file = index_file(bench, 10, 0);
    bench.disk.fail(DiskCall::read, 1, {.for_ever = true});
    CHECK_FALSE(OffsetIndex{file.get()}.before(100));
    CHECK_FALSE(load_offset_index(*file));
}

TEST_CASE("offset index: entries are plausible as long as they rise", "[index]") {
    const std::vector<OffsetEntry> good{{3, 100}, {7, 200}, {9, 300}};
    CHECK(plausible_entries(good, 301) == 3);
    CHECK(plausible_entries(good, 300) == 2);
    CHECK(plausible_entries({{3, 100}, {3, 200}}, 1000) == 1);
    CHECK(plausible_entries({{3, 100}, {4, 100}}, 1000) == 1);
    CHECK(plausible_entries({{3, 100}, {0, 0}}, 1000) == 1);
    CHECK(plausible_entries(std::vector<OffsetEntry>{}, 1000) == 0);
}
