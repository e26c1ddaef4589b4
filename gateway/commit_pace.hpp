#pragma once

#include "storage/base/ack_token.hpp"
#include "storage/base/time.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace milepost {

// When the open group is committed: as soon as the disk is free, unless two things say otherwise.
//
// The interval: two commits begin at least that far apart (flash that wears).
//
// The gather window, on a disk slow enough for commits on a thread of their own. Devices that send
// the next reading when the last is acknowledged fall into two halves there: while one half's group
// is synced the other half sends, so that each waits for two syncs. So after a sync the group waits
// for those that were just acknowledged, as long as they keep coming, a short while; all of them
// are in one group then, at twice the rate. A window that they did not come back in is not tried
// again for a while: sensors that send at times of their own never are waited for.
//
// Pure: no clock, no timer, no log. Thread: its owner's.
class CommitPace {
public:
    explicit CommitPace(Duration interval)
        : interval_(interval) {}

    // A publish came into the open group.
    void arrived(AckToken token);

    // A group is on the disk and its acks are sent: it was `written` at that time, on the thread of
    // its own, and commits take `commit_time` lately.
    void landed(
        std::span<const AckToken> tokens,
        Duration commit_time,
        Instant written,
        Instant now
    );

    // The open group holds something: when it may be committed, at `now` or before it: at once.
    // `is_committing`: another group is on its way to the disk; nullopt then: landed() comes first.
    [[nodiscard]] std::optional<Instant> due(bool is_committing, Instant now);

    // The open group is committed, or is as soon as the disk is free.
    void committed(Instant now);

private:
    [[nodiscard]] bool is_expected_back(Instant now) const;

    // One device of the group that landed, by its connection's slot.
    struct Device {
        std::uint32_t flight = 0;      // that acknowledged it last
        std::uint32_t generation = 0;  // of the slot
    };

    Duration interval_;
    Instant committed_at_{};

    std::vector<Device> devices_;
    std::uint32_t flight_ = 0;
    bool is_window_open_ = false;
    std::size_t expected_ = 0;  // devices that were acknowledged
    std::size_t returned_ = 0;  // of them, those that have sent again
    std::size_t seen_ = 0;      // of those, at last_return_
    Duration gap_max_{};        // between two of them
    Instant last_return_{};
    Instant window_end_{};
    std::uint32_t penalty_ = 0;  // flights that go without a window after the next failure
    std::uint32_t skips_ = 0;    // of them, those still to come
};

}  // namespace milepost
