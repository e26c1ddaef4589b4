#pragma once

#include "storage/base/stats.hpp"
#include "storage/base/time.hpp"
#include "storage/base/units.hpp"

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <thread>

namespace milepost::storage {

// Lets commits go before those who read history. The disk answers in turn: a commit that comes
// while a megabyte is being read waits for all of it. So nobody asks for that much at once, and
// while groups are committed for a small piece only, after a moment in which none waits; a reader
// always comes to its turn. Thread: any. Lifetime: what it looks at outlives it.
class ReadPacer {
public:
    static constexpr std::size_t alone_bytes = 128 * kib;
    static constexpr std::size_t beside_commits_bytes = 32 * kib;
    static constexpr std::chrono::microseconds turn_wait_max{500};

    // `groups`: counts commits. `commit_pending_since_ms`: not 0 while one waits for the disk.
    ReadPacer(const Counter& groups, const Gauge& commit_pending_since_ms)
        : groups_(groups)
        , pending_(commit_pending_since_ms) {}

    // Waits for this reader's turn, and says how many bytes to ask the disk for.
    std::size_t wait_for_turn() {
        const std::uint64_t groups = groups_.value();
        const bool has_moved = groups_seen_.exchange(groups, std::memory_order_relaxed) != groups;
        if (!has_moved && pending_.value() == 0) return alone_bytes;
        const Instant until = monotonic_now() + turn_wait_max;
        while (pending_.value() != 0 && monotonic_now() < until)
            std::this_thread::sleep_for(look_again);
        return beside_commits_bytes;
    }

private:
    static constexpr std::chrono::microseconds look_again{20};

    const Counter& groups_;
    const Gauge& pending_;
    std::atomic<std::uint64_t> groups_seen_{0};
};

}  // namespace milepost::storage
