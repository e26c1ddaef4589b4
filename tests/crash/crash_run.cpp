// Many crash worlds, one after the other:
//   crash_run --seeds FROM..TO [--groups N] [--lives N] [--trace 1]
// Prints what was done (CrashCounts says what each figure is) and each violation with its seed;
// exit status 1 if there was one. SIGINT or SIGTERM: prints what was done so far.
#include "tests/crash/crash_world.hpp"

#include <malloc.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <string_view>

namespace {

using namespace milepost::test;

struct Arguments {
    std::uint64_t first = 1;
    std::uint64_t last = 1000;
    CrashOptions options;
};

volatile std::sig_atomic_t stops = 0;

bool parse(int argc, char** argv, Arguments& arguments) {
    for (int i = 1; i + 1 < argc; i += 2) {
        const std::string_view key = argv[i];
        char* end = nullptr;
        const std::uint64_t number = std::strtoull(argv[i + 1], &end, 10);
        if (key == "--seeds") {
            arguments.first = arguments.last = number;
            if (std::string_view{end}.substr(0, 2) == "..") {
                arguments.last = std::strtoull(end + 2, &end, 10);
            }
        } else if (key == "--groups") {
            arguments.options.groups = static_cast<int>(number);
        } else if (key == "--trace") {
            arguments.options.trace = number != 0;
        } else if (key == "--lives") {
            arguments.options.lives = static_cast<int>(number);
        } else {
            return false;
        }
        if (*end != '\0') return false;
    }
    return argc % 2 == 1;
}

void print(const CrashCounts& counts, double seconds) {
    std::printf(
        "worlds %lu\ncrashes %lu\ncrashes_qualified %lu\ncrashes_carried %lu\n"
        "crashes_in_recovery %lu\ncrashes_in_retention %lu\ncrashes_in_renewal %lu\nkills "
        "%lu\ngroups %lu\nrecords %lu\n"
        "checkpoints %lu\njournal_bytes %lu\nring_renewals %lu\nsegments_removed %lu\n"
        "losses_entered %lu\n",
        counts.worlds,
        counts.crashes,
        counts.qualified,
        counts.carried,
        counts.recovery_crashes,
        counts.in_retention,
        counts.in_renewal,
        counts.kills,
        counts.groups,
        counts.records,
        counts.checkpoints,
        counts.journal_bytes,
        counts.renewals,
        counts.removals,
        counts.losses
    );
    for (std::size_t i = 0; i < disk_call_count; ++i) {
        std::printf("crashes_at_%s %lu\n", name(static_cast<DiskCall>(i)), counts.by_call[i]);
    }
    const auto crashes = static_cast<double>(counts.crashes + counts.recovery_crashes);
    const double cpu_seconds = static_cast<double>(std::clock()) / CLOCKS_PER_SEC;
    std::printf("seconds %.1f\ncpu_seconds %.1f\n", seconds, cpu_seconds);
    std::printf("crashes_per_cpu_second %.0f\n", crashes / cpu_seconds);
}

}  // namespace

int main(int argc, char** argv) {
    // Buffers of some hundred KiB come and go all the time: not from and to the kernel.
    ::mallopt(M_MMAP_THRESHOLD, 64 << 20);
    ::mallopt(M_TRIM_THRESHOLD, 256 << 20);
    Arguments arguments;
    if (!parse(argc, argv, arguments)) {
        std::fprintf(stderr, "crash_run --seeds FROM..TO [--groups N] [--lives N] [--trace 1]\n");
        return 64;
    }
    std::signal(SIGINT, [](int) { stops = 1; });
    std::signal(SIGTERM, [](int) { stops = 1; });
    const auto begin = std::chrono::steady_clock::now();
    CrashCounts total;
    std::uint64_t violations = 0;
    for (std::uint64_t seed = arguments.first; seed <= arguments.last && stops == 0; ++seed) {
        arguments.options.seed = seed;
        CrashWorld world{arguments.options};
        if (const auto violation = world.run()) {
            std::printf("VIOLATION %s\n", violation->c_str());
            std::fflush(stdout);
            ++violations;
        }
        total.add(world.counts());
    }
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
    print(total, took.count());
    std::printf("violations %lu\n", violations);
    return violations == 0 ? 0 : 1;
}
