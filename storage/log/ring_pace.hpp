#pragma once

#include "storage/base/time.hpp"

#include <atomic>
#include <cstdint>

namespace milepost::storage {

// Spreads a wait that would come anyway. Where more is taken in than the checkpointer can write,
// the ring fills, and nobody is acknowledged until a whole checkpoint has ended and frees it: tens
// of milliseconds on a fast disk, seconds on a card. So while a checkpoint runs, the groups are
// committed just so far apart that what is free lasts until it ends. As much is taken in as before,
// the wait of each group is short, and in it the checkpointer has the processor.
//
// Pure: no clock. Threads: checkpoint_begins, checkpoint_ended: the checkpointer's; the rest: the
// owner's.
class RingPace {
public:
    // A checkpoint that will free about so many bytes of the ring.
    void checkpoint_begins(std::uint64_t bytes, Instant now);
    // Learns from it how long they take; not from one that failed.
    void checkpoint_ended(bool has_freed, Instant now);

    // A group of so many bytes was given its place at `now`, and `free_bytes` are left.
    void group_sealed(std::uint64_t bytes, std::uint64_t free_bytes, Instant now);

    // The next group may be sealed from then on.
    [[nodiscard]] Instant next() const { return next_; }

private:
    // The checkpointer's.
    std::uint64_t bytes_ = 0;
    std::uint64_t largest_ = 0;
    Instant began_{};
    double nanos_per_byte_ = 0;  // lately

    // 0: no checkpoint runs, or none has ended yet that tells how long it will take.
    std::atomic<Instant::rep> ends_about_{0};
    std::atomic<Duration::rep> takes_about_{0};

    Instant next_{};  // the owner's
};

}  // namespace milepost::storage
