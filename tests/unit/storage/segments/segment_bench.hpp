#pragma once

#include "storage/format/batch_builder.hpp"
#include "storage/log/segment_name.hpp"
#include "storage/log/segment_writer.hpp"
#include "tests/support/forgetful_disk.hpp"
#include "tests/support/matchers.hpp"

#include <catch2/catch.hpp>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

namespace milepost::test {

inline constexpr int records_per_batch = 4;

// A disk with one partition's folder, and batches to put there: batch i has four records, the first
// with offset base + 4 i and timestamp 1000 + 10 i, and is of a size of its own.
struct SegmentBench {
    explicit SegmentBench(storage::Offset first = storage::Offset{1000})
        : base(first) {
        REQUIRE(disk.make_directory("/data"));
        REQUIRE(disk.make_directory(folder));
        REQUIRE(disk.sync_directory("/"));
        REQUIRE(disk.sync_directory("/data"));
    }

    [[nodiscard]] Buffer batch(int i, storage::Codec codec = storage::Codec::none) const {
        storage::BatchBuilder builder;
        builder.start(base + std::int64_t{records_per_batch} * i);
        const std::string value(
            static_cast<std::size_t>(100 + 37 * (i % 11)),
            static_cast<char>('a' + i % 26)
        );
        for (int n = 0; n < records_per_batch; ++n) {
            builder.add(
                {Timestamp{1000 + std::int64_t{10} * i + n}, as_bytes("V1"), as_bytes(value), {}}
            );
        }
        Buffer bytes;
        REQUIRE(builder.finish(codec, bytes));
        return bytes;
    }

    [[nodiscard]] Buffer batches(int first, int end) const {
        Buffer all;
        for (int i = first; i < end; ++i) {
            append_bytes(all, batch(i));
        }
        return all;
    }

    // A sealed segment of `count` batches.
    void write(int count) {
        auto writer = storage::SegmentWriter::create(disk, folder, base);
        REQUIRE(writer);
        for (int i = 0; i < count; ++i) {
            REQUIRE((*writer)->append(batch(i)));
        }
        REQUIRE((*writer)->seal());
    }

    [[nodiscard]] std::filesystem::path path(storage::SegmentFile kind) const {
        return storage::segment_path(folder, base, kind);
    }

    [[nodiscard]] Buffer content(storage::SegmentFile kind) const {
        return disk.content(path(kind));
    }

    void put(storage::SegmentFile kind, Bytes bytes) {
        auto file = disk.open(path(kind), storage::OpenMode::create);
        REQUIRE(file);
        REQUIRE((*file)->truncate(0));
        REQUIRE((*file)->write_at(storage::FilePosition{0}, bytes));
        REQUIRE((*file)->sync());
        REQUIRE(disk.sync_directory(folder));
    }

    void remove(storage::SegmentFile kind) { REQUIRE(disk.remove(path(kind))); }

    storage::Offset base;
    std::filesystem::path folder = "/data/t-0";
    ForgetfulDisk disk;
};

inline constexpr storage::SegmentFile all_kinds[] = {
    storage::SegmentFile::log,
    storage::SegmentFile::offset_index,
    storage::SegmentFile::time_index};

inline Buffer golden_file(const std::string& codec, storage::SegmentFile kind) {
    const std::string name = storage::segment_file_name(storage::Offset{0}, kind);
    std::ifstream file{MILEPOST_GOLDEN_DIR "/golden." + codec + "-0/" + name, std::ios::binary};
    REQUIRE(file);
    const std::string text{std::istreambuf_iterator<char>{file}, {}};
    const Bytes bytes = as_bytes(text);
    return {bytes.begin(), bytes.end()};
}

}  // namespace milepost::test
