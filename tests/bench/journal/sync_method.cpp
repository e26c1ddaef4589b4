// How fast the two ways of overwrite_durable are on this disk: sync_method FOLDER [seconds].
// One thread, a pre-written file, one line for each size and way.
#include "storage/fs/memory_region.hpp"
#include "storage/fs/posix_file_system.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <stdexcept>
#include <vector>

#include <sys/resource.h>

namespace {

using namespace milepost;
using namespace milepost::storage;
using Clock = std::chrono::steady_clock;

constexpr std::uint64_t file_bytes = 64U * 1024 * 1024;

template <class T>
T must(Result<T> result) {
    if (!result) throw std::runtime_error{result.error().message()};
    if constexpr (!std::is_void_v<T>) return std::move(*result);
}

double cpu_seconds() {
    ::rusage usage{};
    ::getrusage(RUSAGE_SELF, &usage);
    const auto seconds = [](const ::timeval& time) {
        return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
    };
    return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

struct Run {
    std::vector<double> micros;
    double cpu = 0;
    double seconds = 0;
};

void measure(File& file, Bytes block, double seconds, Run& run) {
    const double cpu = cpu_seconds();
    const Clock::time_point start = Clock::now();
    const auto end = start + std::chrono::duration<double>{seconds};
    std::uint64_t at = 0;
    while (Clock::now() < end) {
        if (at + block.size() > file_bytes) at = 0;
        const Clock::time_point before = Clock::now();
        must(file.overwrite_durable(FilePosition{at}, block));
        run.micros.push_back(std::chrono::duration<double, std::micro>{Clock::now() - before}.count(
        ));
        at += block.size();
    }
    run.cpu += cpu_seconds() - cpu;
    run.seconds += std::chrono::duration<double>{Clock::now() - start}.count();
}

void print(const char* way, std::size_t bytes, Run& run) {
    std::sort(run.micros.begin(), run.micros.end());
    const auto count = static_cast<double>(run.micros.size());
    const auto part = [&](double p) {
        return run.micros[static_cast<std::size_t>(p * (count - 1))];
    };
    std::printf(
        "%-10s %8zu B %8.0f/s %8.1f MB/s  p50 %7.1f us  p99 %7.1f us  cpu %6.1f us each\n",
        way,
        bytes,
        count / run.seconds,
        count / run.seconds * static_cast<double>(bytes) / 1e6,
        part(0.5),
        part(0.99),
        run.cpu / count * 1e6
    );
}

void compare(const std::filesystem::path& folder, double seconds) {
    const std::filesystem::path path = folder / "sync_method.tmp";
    PosixFileSystem cached{DurableWrite::fdatasync};
    PosixFileSystem direct{DurableWrite::dsync};
    const auto file = must(cached.open(path, OpenMode::create));
    MemoryRegion memory{1024U * 1024};
    std::memset(memory.bytes().data(), 'x', memory.bytes().size());
    for (std::uint64_t at = 0; at < file_bytes; at += memory.bytes().size()) {
        must(file->write_at(FilePosition{at}, memory.bytes()));
    }
    must(file->sync());
    const auto direct_file = must(direct.open(path, OpenMode::write));
    for (const std::size_t bytes : {std::size_t{4096}, std::size_t{65536}, std::size_t{1048576}}) {
        Run with_fdatasync;
        Run with_dsync;
        // In turns, so that both see the same disk.
        for (int turn = 0; turn < 4; ++turn) {
            measure(*file, memory.bytes().first(bytes), seconds / 4, with_fdatasync);
            measure(*direct_file, memory.bytes().first(bytes), seconds / 4, with_dsync);
        }
        print("fdatasync", bytes, with_fdatasync);
        print("dsync", bytes, with_dsync);
    }
    must(cached.remove(path));
}

}  // namespace

int main(int count, char** arguments) {
    try {
        compare(count > 1 ? arguments[1] : ".", count > 2 ? std::atof(arguments[2]) : 4);
    } catch (const std::exception& error) {
        std::fprintf(stderr, "sync_method: %s\n", error.what());
        return 1;
    }
}
