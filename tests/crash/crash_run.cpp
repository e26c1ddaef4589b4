// Many crash worlds, one after the other: crash_run --seeds FROM..TO [--groups N] [--lives N].
// Prints what was done and each violation with its seed; exit status 1 if there was one.
#include "tests/crash/crash_world.hpp"

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string_view>

namespace {

using namespace milepost::test;

struct Arguments {
    std::uint64_t first = 1;
    std::uint64_t last = 1000;
    CrashOptions options;
};

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
        "worlds %lu\ncrashes %lu\ncrashes_in_recovery %lu\nkills %lu\ngroups %lu\nrecords %lu\n"
        "checkpoints %lu\njournal_bytes %lu\n",
        counts.worlds,
        counts.crashes,
        counts.recovery_crashes,
        counts.kills,
        counts.groups,
        counts.records,
        counts.checkpoints,
        counts.journal_bytes
    );
    for (std::size_t i = 0; i < disk_call_count; ++i) {
        std::printf("crashes_at_%s %lu\n", name(static_cast<DiskCall>(i)), counts.by_call[i]);
    }
    const auto crashes = static_cast<double>(counts.crashes + counts.recovery_crashes);
    std::printf("seconds %.1f\ncrashes_per_second %.0f\n", seconds, crashes / seconds);
}

}  // namespace

int main(int argc, char** argv) {
    Arguments arguments;
    if (!parse(argc, argv, arguments)) {
        std::fprintf(stderr, "crash_run --seeds FROM..TO [--groups N] [--lives N]\n");
        return 64;
    }
    const auto begin = std::chrono::steady_clock::now();
    CrashCounts total;
    std::uint64_t violations = 0;
    for (std::uint64_t seed = arguments.first; seed <= arguments.last; ++seed) {
        arguments.options.seed = seed;
        CrashWorld world{arguments.options};
        if (const auto violation = world.run()) {
            std::printf("VIOLATION %s\n", violation->c_str());
            ++violations;
        }
        total.add(world.counts());
    }
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
    print(total, took.count());
    std::printf("violations %lu\n", violations);
    return violations == 0 ? 0 : 1;
}
