// Writes a recorded log for the tests of replay and for benchmarks:
// make_recording DIR RECORDS SPAN_MS [VALUE_BYTES | telemetry [RING_MIB]].
// Topic `vehicle.telemetry`, 4 partitions; record n (from 0) is of vehicle V<n % 100>, in partition
// n % 4, with the value
// "<n> " and letters (or telemetry of some 200 bytes, whose numbers compress as such do), and the
// timestamp 1795393770000 + n * SPAN_MS / RECORDS. The gateway's own
// code, without the gateway.
#include "storage/format/batch_builder.hpp"
#include "storage/fs/posix_file_system.hpp"
#include "storage/log/log.hpp"
#include "storage/log/segment_name.hpp"
#include "storage/log/segment_writer.hpp"
#include "tests/support/log_parts.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>

using namespace milepost;
using namespace milepost::storage;

namespace {

constexpr int partitions = 4;
constexpr int vehicles = 100;
constexpr std::int64_t first_timestamp = 1'795'393'770'000;
constexpr int records_per_batch = 200;
constexpr int batches_per_segment = 1000;

struct Shape {
    std::int64_t records = 0;
    std::int64_t span_ms = 0;
    std::size_t value_bytes = 0;
    bool telemetry = false;
};

template <class T>
T must(Result<T> result) {
    if (!result) throw std::runtime_error{result.error().message()};
    if constexpr (!std::is_void_v<T>) return std::move(*result);
}

class Partition {
public:
    Partition(FileSystem& files, const std::filesystem::path& data, int number)
        : files_(files)
        , folder_(data / partition_folder_name({"vehicle.telemetry", number})) {
        must(files_.make_directory(folder_));
        builder_.start(Offset{0});
    }

    void add(Timestamp timestamp, std::string_view key, std::string_view value) {
        builder_.add({timestamp, as_bytes(key), as_bytes(value), {}});
        ++next_;
        if (++in_batch_ == records_per_batch) end_batch();
    }

    void end() {
        if (in_batch_ > 0) end_batch();
        if (segment_) must(segment_->seal());
    }

private:
    void end_batch() {
        if (!segment_) segment_ = must(SegmentWriter::create(files_, folder_, base_));
        Buffer bytes;
        must(builder_.finish(Codec::lz4, bytes));
        must(segment_->append(bytes));
        if (++batches_ % batches_per_segment == 0) {
            must(segment_->seal());
            segment_.reset();
        }
        base_ = next_;
        in_batch_ = 0;
        builder_.start(base_);
    }

    FileSystem& files_;
    std::filesystem::path folder_;
    BatchBuilder builder_;
    std::unique_ptr<SegmentWriter> segment_;
    Offset base_{0};
    Offset next_{0};
    int in_batch_ = 0;
    int batches_ = 0;
};

std::string letters(std::int64_t n, std::size_t bytes) {
    auto value = std::to_string(n) + ' ';
    if (value.size() < bytes) value.resize(bytes, 'x');
    return value;
}

// Of a vehicle that drives: values that look measured, the same in every run.
std::string telemetry(std::int64_t n, Timestamp at) {
    std::uint64_t bits = static_cast<std::uint64_t>(n) * 0x9E3779B97F4A7C15U;
    bits ^= bits >> 29U;
    const auto number = [&bits](unsigned below) {
        bits = bits * 6364136223846793005U + 1442695040888963407U;
        return static_cast<unsigned>(bits >> 33U) % below;
    };
    std::array<char, 256> text{};
    const int size = std::snprintf(
        text.data(),
        text.size(),
        R"({"v":1,"vss":"6.0","vehicle":"V%04d","seq":%lld,"ts":%lld,"signals":{)"
        R"("Vehicle.Speed":%u.%u,"Vehicle.CurrentLocation.Latitude":48.1%05u,)"
        R"("Vehicle.CurrentLocation.Longitude":11.5%05u,"Vehicle.Chassis.Tire":%u}})",
        static_cast<int>(n % vehicles),
        static_cast<long long>(n / vehicles),
        static_cast<long long>(at.value()),
        number(130),
        number(10),
        number(100'000),
        number(100'000),
        220 + number(40)
    );
    return {text.data(), static_cast<std::size_t>(size)};
}

void write_segments(FileSystem& files, const std::filesystem::path& data, const Shape& shape) {
    must(files.make_directory(data));
    std::array<std::unique_ptr<Partition>, partitions> all;
    for (int i = 0; i < partitions; ++i)
        all[static_cast<std::size_t>(i)] = std::make_unique<Partition>(files, data, i);
    for (std::int64_t n = 0; n < shape.records; ++n) {
        const Timestamp at{first_timestamp + n * shape.span_ms / shape.records};
        const auto value = shape.telemetry ? telemetry(n, at) : letters(n, shape.value_bytes);
        all[static_cast<std::size_t>(n % partitions)]
            ->add(at, 'V' + std::to_string(n % vehicles), value);
    }
    for (auto& partition : all)
        partition->end();
}

// The log makes its journal, and finds the segments.
void make_journal(FileSystem& files, const std::filesystem::path& data, std::uint64_t ring_bytes) {
    test::RecordingKeeper keeper;
    test::RecordingListener listener;
    test::PostQueue posts;
    LogConfig config;
    config.data_dir = data;
    config.ring_bytes = ring_bytes;
    config.background = false;
    RecoveryReport report;
    const auto log = must(Log::open(
        config,
        {.files = files,
         .keeper = keeper,
         .listener = listener,
         .post =
             [&](std::function<void()> function) {
                 posts.post(std::move(function));
             }},
        report
    ));
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 4) return 64;
    try {
        PosixFileSystem files;
        const Shape shape{
            .records = std::atoll(argv[2]),
            .span_ms = std::atoll(argv[3]),
            .value_bytes = argc > 4 ? static_cast<std::size_t>(std::atoll(argv[4])) : 0,
            .telemetry = argc > 4 && std::string_view{argv[4]} == "telemetry"};
        write_segments(files, argv[1], shape);
        const auto ring_mib = argc > 5 ? static_cast<std::uint64_t>(std::atoll(argv[5])) : 0;
        make_journal(files, argv[1], std::max<std::uint64_t>(ring_mib * mib, ring_bytes_min));
        return 0;
    } catch (const std::exception& failed) {
        std::fprintf(stderr, "%s\n", failed.what());
        return 1;
    }
}
