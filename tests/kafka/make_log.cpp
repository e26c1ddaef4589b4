// Writes a log for hand_over_test.py: make_log DIR. Topic `ours`, two partitions, five segments
// each, every codec in turn; record n of a partition has the key "V<n % 3>", the value "reading
// <n>", a header `mqtt.topic`, and the timestamp 1795393770000 + n. The gateway's own code, without
// the gateway.
#include "storage/format/batch_builder.hpp"
#include "storage/fs/posix_file_system.hpp"
#include "storage/log/segment_name.hpp"
#include "storage/log/segment_writer.hpp"

#include <array>
#include <cstdio>
#include <filesystem>
#include <string>

using namespace milepost;
using namespace milepost::storage;

namespace {

constexpr int partitions = 2;
constexpr int segments = 5;
constexpr int batches_per_segment = 12;
constexpr int records_per_batch = 20;
constexpr std::int64_t first_timestamp = 1'795'393'770'000;

Result<void> write_batch(SegmentWriter& segment, Offset base, Codec codec) {
    BatchBuilder builder;
    builder.start(base);
    const std::string topic = "vehicles/x/telemetry";
    const std::array headers{HeaderView{"mqtt.topic", as_bytes(topic)}};
    for (int i = 0; i < records_per_batch; ++i) {
        const std::int64_t n = base.value() + i;
        const std::string key = "V" + std::to_string(n % 3);
        const std::string value = "reading " + std::to_string(n);
        builder.add({Timestamp{first_timestamp + n}, as_bytes(key), as_bytes(value), headers});
    }
    Buffer bytes;
    MILEPOST_TRY(builder.finish(codec, bytes));
    return segment.append(bytes);
}

Result<void> write_partition(FileSystem& files, const std::filesystem::path& folder) {
    constexpr std::array codecs{Codec::none, Codec::lz4, Codec::zstd};
    MILEPOST_TRY(files.make_directory(folder));
    Offset next{0};
    for (int i = 0; i < segments; ++i) {
        auto segment = SegmentWriter::create(files, folder, next);
        if (!segment) return segment.error();
        for (int batch = 0; batch < batches_per_segment; ++batch) {
            const auto codec = codecs[static_cast<std::size_t>(batch) % codecs.size()];
            MILEPOST_TRY(write_batch(**segment, next, codec));
            next = next + records_per_batch;
        }
        MILEPOST_TRY((*segment)->seal());
    }
    return {};
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 2) return 64;
    PosixFileSystem files;
    for (int i = 0; i < partitions; ++i) {
        const auto folder = std::filesystem::path{argv[1]} / partition_folder_name({"ours", i});
        const auto written = write_partition(files, folder);
        if (written) continue;
        std::fprintf(stderr, "%s\n", written.error().message().c_str());
        return 1;
    }
    return 0;
}
