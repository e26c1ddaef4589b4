// What the ring's commit reaches: commit_cost FOLDER [seconds] [fdatasync|dsync] [records]. One
// thread, groups of 1 to 1000 records of 216 bytes, freed as soon as they are durable. Compare with
// a bare loop of the same size. "besides" is the time of a commit whose disk costs nothing.
#include "storage/fs/posix_file_system.hpp"
#include "storage/journal/ring.hpp"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <sys/resource.h>

namespace {

using namespace milepost;
using namespace milepost::storage;
using Clock = std::chrono::steady_clock;

constexpr std::size_t record_bytes = 216;
constexpr std::size_t batch_bytes = 61;

template <class T>
T must(Result<T> result) {
    if (!result) throw std::runtime_error{result.error().message()};
    if constexpr (!std::is_void_v<T>) return std::move(*result);
}

// A file whose disk costs nothing.
class NoFile final : public File {
public:
    Result<std::size_t> read_at(FilePosition, MutableBytes) override { return std::size_t{0}; }

    Result<void> write_at(FilePosition, Bytes) override { return {}; }

    Result<void> overwrite_durable(FilePosition, Bytes) override { return {}; }

    Result<void> sync() override { return {}; }

    Result<void> truncate(std::uint64_t) override { return {}; }

    Result<std::uint64_t> size() override { return std::uint64_t{0}; }

    void forget_cached(FilePosition, std::uint64_t) override {}
};

class NoDisk final : public FileSystem {
public:
    Result<std::unique_ptr<File>> open(const std::filesystem::path&, OpenMode) override {
        return std::unique_ptr<File>{std::make_unique<NoFile>()};
    }

    Result<void> rename(const std::filesystem::path&, const std::filesystem::path&) override {
        return {};
    }

    Result<void> remove(const std::filesystem::path&) override { return {}; }

    Result<void> make_directory(const std::filesystem::path&) override { return {}; }

    Result<std::vector<DirectoryEntry>> list(const std::filesystem::path&) override {
        return std::vector<DirectoryEntry>{};
    }

    Result<void> sync_directory(const std::filesystem::path&) override { return {}; }

    Result<SpaceInfo> space(const std::filesystem::path&) override { return SpaceInfo{}; }

    Result<std::unique_ptr<FolderLock>> lock(const std::filesystem::path&) override {
        return std::unique_ptr<FolderLock>{};
    }
};

void commit(Ring& ring, std::size_t records, Bytes record) {
    const std::size_t bytes = batch_bytes + records * record.size();
    auto slot = ring.reserve(records_section_bytes(9, bytes));
    if (!slot) throw std::runtime_error{"the ring is full"};
    MutableBytes batch = slot->writer.add_records("telemetry", 0, bytes);
    std::memset(batch.data(), 0, batch_bytes);
    for (std::size_t i = 0; i < records; ++i) {
        std::memcpy(batch.data() + batch_bytes + i * record.size(), record.data(), record.size());
    }
    must(ring.commit(*slot));
}

void run(
    FileSystem& files,
    const std::filesystem::path& folder,
    std::size_t records,
    double seconds
) {
    RingHeader header{.log_id = 1, .ring_key = 2, .generation = 1, .ring_bytes = 64 * mib};
    const auto ring = must(Ring::create(files, folder, header, {}));
    while (ring->prewritten_bytes() < ring->capacity_bytes()) {
        must(ring->prewrite_more());
    }
    const Buffer record(record_bytes, std::byte{'x'});
    std::vector<double> micros;
    std::uint64_t slots = 0;
    ::rusage usage{};
    ::getrusage(RUSAGE_SELF, &usage);
    const auto cpu = [&] {
        ::getrusage(RUSAGE_SELF, &usage);
        const auto part = [](const ::timeval& time) {
            return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
        };
        return part(usage.ru_utime) + part(usage.ru_stime);
    };
    const double cpu_before = cpu();
    const auto start = Clock::now();
    const auto end = start + std::chrono::duration<double>{seconds};
    while (Clock::now() < end) {
        const auto before = Clock::now();
        commit(*ring, records, record);
        micros.push_back(std::chrono::duration<double, std::micro>{Clock::now() - before}.count());
        if (ring->used_bytes() < ring->capacity_bytes() / 2) continue;
        Checkpoint checkpoint;
        checkpoint.first_needed_sequence = ring->next_sequence();
        must(ring->write_slot(checkpoint));
        ring->free_before(ring->next_sequence());
        ++slots;
    }
    const double took = std::chrono::duration<double>{Clock::now() - start}.count();
    const auto count = static_cast<double>(micros.size());
    std::sort(micros.begin(), micros.end());
    const auto at = [&](double p) {
        return micros[static_cast<std::size_t>(p * (count - 1))];
    };
    std::printf(
        "%5zu records  %9.0f commits/s  %10.0f records/s  p50 %7.2f us  p99 %7.2f us  cpu %6.2f us "
        "a "
        "commit  %llu slots\n",
        records,
        count / took,
        count * static_cast<double>(records) / took,
        at(0.5),
        at(0.99),
        (cpu() - cpu_before) / count * 1e6,
        static_cast<unsigned long long>(slots)
    );
    must(files.remove(ring_path(folder, 1)));
}

}  // namespace

int main(int count, char** arguments) {
    try {
        const std::filesystem::path folder{count > 1 ? arguments[1] : "."};
        const double seconds = count > 2 ? std::atof(arguments[2]) : 3;
        const bool is_direct = count > 3 && std::string_view{arguments[3]} == "dsync";
        PosixFileSystem disk{is_direct ? DurableWrite::dsync : DurableWrite::fdatasync};
        NoDisk nothing;
        std::vector<std::size_t> sizes{1, 10, 100, 1000};
        if (count > 4) sizes = {std::stoul(arguments[4])};
        for (const std::size_t records : sizes) {
            std::printf("disk    ");
            run(disk, folder, records, seconds);
            std::printf("besides ");
            run(nothing, folder, records, seconds / 4);
        }
    } catch (const std::exception& error) {
        std::fprintf(stderr, "commit_cost: %s\n", error.what());
        return 1;
    }
}
