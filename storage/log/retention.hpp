#pragma once

#include "storage/base/time.hpp"
#include "storage/format/offsets.hpp"
#include "storage/log/log_config.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

// Which segments may go: pure. What is done about it is retainer.hpp's.
namespace milepost::storage {

// Timestamps outside [this, now + a day] were given by a clock that was wrong.
inline constexpr Timestamp plausible_from{1'577'836'800'000};  // 2020-01-01
inline constexpr std::chrono::milliseconds clock_tolerance{std::chrono::hours{24}};

enum class RemovalReason : std::uint8_t {
    retention_bytes,  // the partition is over its topic's bytes
    retention_age,    // everything in it is older than its topic keeps
    limit,            // the log is at its limit, or the disk at the reserve
    drop_oldest,      // the same, and it is not forwarded yet: a loss
};

// As the gap ledger and the account say it.
[[nodiscard]] std::string_view name_of(RemovalReason reason);

// Whether a ledger entry's reason is one of these.
[[nodiscard]] bool is_of_retention(std::string_view reason);

struct RetainedSegment {
    Offset base;
    Offset next;
    std::uint64_t bytes = 0;
    Timestamp max_timestamp = timestamp_none;  // none: not known
};

struct RetainedPartition {
    std::vector<RetainedSegment> segments;  // in order; the last one is the active one
    // Below this nothing is owed to anybody: forwarded, or durable where nothing is forwarded.
    Offset released;
    TopicRetention limits;
    // Whether it may lose what is released so that there is room; its own limits hold anyway.
    bool gives_room = true;
    bool age_counts = true;  // the clock can be believed for this age: AgeClock::trusts()
};

struct RetentionInput {
    std::vector<RetainedPartition> partitions;
    std::uint64_t bytes_needed = 0;  // for the log to be below its limit and above the reserve
    FullPolicy full = FullPolicy::block;
    Timestamp now{0};
};

// One segment; those of one partition come from its front, in order.
struct Removal {
    std::size_t partition = 0;  // in the input
    RetainedSegment segment;
    RemovalReason reason = RemovalReason::limit;
    bool is_active = false;  // it must be ended first
};

// In the order in which they are to be done. Whole segments only. The active one only where all of
// it is too old, or where nothing else is left to make room with; never past `released` but for
// drop_oldest. Of all partitions the segment with the oldest records goes first; one whose
// timestamps cannot be right counts as old as the next one behind it that has better ones, and is
// never too old by itself.
[[nodiscard]] std::vector<Removal> plan_retention(const RetentionInput& input);

struct ClockReading {
    Timestamp wall{0};
    std::int64_t monotonic_ms = 0;
};

// Now, as a checkpoint slot has it.
[[nodiscard]] ClockReading read_clock();

// Whether wall time moved as monotonic time did between the two, give or take clock_tolerance. No
// after a restart of the machine that took longer.
[[nodiscard]] bool moved_alike(const ClockReading& before, const ClockReading& now);

// Whether ages of records can be believed. A wall clock that jumped is not believed until it is
// back, or until it has run steadily for as long as an age limit is: whatever was there when it
// jumped is then that old indeed. Thread: one at a time.
class AgeClock {
public:
    // `reference`: when the clock was believed last (the checkpoint slot's). `age_max`: the longest
    // age limit, after which the new time is the reference.
    AgeClock(ClockReading reference, std::chrono::milliseconds age_max)
        : reference_(reference)
        , age_max_(age_max) {}

    void update(const ClockReading& now);

    [[nodiscard]] bool trusts(std::chrono::milliseconds age) const {
        return !jumped_ || steady_ >= age;
    }

    // The last reading that was believed: what the next slot says.
    [[nodiscard]] const ClockReading& reference() const { return reference_; }

private:
    ClockReading reference_;
    std::chrono::milliseconds age_max_;
    bool jumped_ = false;
    ClockReading since_;                   // the first reading after the jump
    std::chrono::milliseconds steady_{0};  // how long it has run since then
};

}  // namespace milepost::storage
