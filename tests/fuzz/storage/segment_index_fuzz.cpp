// Both indexes from anywhere: every record is found all the same, and a writer goes on behind them.
// The first byte says where one ends and the other begins.
#include "storage/base/check.hpp"
#include "storage/format/batch_builder.hpp"
#include "storage/log/segment_indexes.hpp"
#include "storage/log/segment_name.hpp"
#include "storage/log/segment_reader.hpp"
#include "storage/log/segment_writer.hpp"
#include "tests/support/forgetful_disk.hpp"

#include <cstddef>
#include <cstdint>
#include <string>

using namespace milepost;
using namespace milepost::storage;

namespace {

constexpr int batch_count = 12;
constexpr const char* folder = "/t-0";

const Buffer& segment_bytes() {
    static const Buffer bytes = [] {
        Buffer all;
        BatchBuilder builder;
        const std::string value(3000, 'v');
        for (int i = 0; i < batch_count; ++i) {
            builder.start(Offset{i});
            builder.add(RecordView{Timestamp{100 + i}, as_bytes("V1"), as_bytes(value), {}});
            MILEPOST_CHECK(builder.finish(Codec::none, all).has_value());
        }
        return all;
    }();
    return bytes;
}

void put(FileSystem& disk, SegmentFile kind, Bytes bytes) {
    auto file = disk.open(segment_path(folder, Offset{0}, kind), OpenMode::create_new);
    MILEPOST_CHECK(file.has_value());
    MILEPOST_CHECK((*file)->write_at(FilePosition{0}, bytes).has_value());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const Bytes input = std::as_bytes(std::span{data, size}).subspan(1);
    const std::size_t cut = input.size() * data[0] / 256;
    milepost::test::ForgetfulDisk disk;
    MILEPOST_CHECK(disk.make_directory(folder).has_value());
    put(disk, SegmentFile::log, segment_bytes());
    put(disk, SegmentFile::offset_index, input.first(cut));
    put(disk, SegmentFile::time_index, input.subspan(cut));

    auto reader = SegmentReader::open(disk, folder, Offset{0});
    MILEPOST_CHECK(reader.has_value());
    const FilePosition end{segment_bytes().size()};
    Buffer buffer;
    for (int i = batch_count - 1; i >= 0; --i) {
        buffer.clear();
        const auto read = (*reader)->read(Offset{i}, 1, end, buffer);
        MILEPOST_CHECK(read.has_value() && read->first == Offset{i} && !read->damaged);
        const auto found = (*reader)->find_timestamp(Timestamp{100 + i}, end);
        MILEPOST_CHECK(found.has_value() && *found == Offset{i});
    }
    auto writer = SegmentWriter::recover(disk, folder, Offset{0}, segment_bytes().size());
    MILEPOST_CHECK(writer.has_value());
    MILEPOST_CHECK((*writer)->next_offset() == Offset{batch_count});
    MILEPOST_CHECK((*writer)->max_timestamp() == Timestamp{100 + batch_count - 1});
    MILEPOST_CHECK((*writer)->seal().has_value());
    MILEPOST_CHECK(mend_indexes(disk, folder, Offset{0}, segment_bytes().size()).has_value());
    return 0;
}
