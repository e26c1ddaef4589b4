#include "storage/log/ring_pace.hpp"

#include "storage/base/units.hpp"

#include <algorithm>

namespace milepost::storage {

namespace {

// What is learned of a checkpoint counts a quarter: one that a busy disk delayed is not the rule.
constexpr double smoothing = 4;
// A small one is mostly the syncs of its files, and says nothing of a large one's bytes: taken for
// the rule it would be thought to take many times as long. Small is less than this, and less than
// this part of the largest.
constexpr std::uint64_t learns_from_bytes = mib;
constexpr std::uint64_t learns_from_part = 4;
// One that takes longer than expected ends, as far as anybody knows, in this part of its time.
constexpr Duration::rep overdue_part = 8;

}  // namespace

void RingPace::checkpoint_begins(std::uint64_t bytes, Instant now) {
    bytes_ = bytes;
    began_ = now;
    const double nanos = static_cast<double>(bytes) * nanos_per_byte_;
    const Duration takes{static_cast<Duration::rep>(nanos)};
    takes_about_.store(takes.count(), std::memory_order_relaxed);
    const Instant ends = takes.count() > 0 ? now + takes : Instant{};
    ends_about_.store(ends.time_since_epoch().count(), std::memory_order_release);
}

void RingPace::checkpoint_ended(bool has_freed, Instant now) {
    ends_about_.store(0, std::memory_order_release);
    if (!has_freed || bytes_ < std::max(learns_from_bytes, largest_ / learns_from_part)) return;
    largest_ = std::max(largest_, bytes_);
    const double nanos = static_cast<double>((now - began_).count()) / static_cast<double>(bytes_);
    const double before = nanos_per_byte_ > 0 ? nanos_per_byte_ : nanos;
    nanos_per_byte_ = before + (nanos - before) / smoothing;
}

void RingPace::group_sealed(std::uint64_t bytes, std::uint64_t free_bytes, Instant now) {
    next_ = {};
    const Instant::rep ends = ends_about_.load(std::memory_order_acquire);
    if (ends == 0) return;
    const Duration takes{takes_about_.load(std::memory_order_relaxed)};
    const Duration left = std::max(Instant{Duration{ends}} - now, takes / overdue_part);
    const double share = static_cast<double>(bytes) /
                         static_cast<double>(std::max(bytes, free_bytes));
    next_ = now + std::chrono::duration_cast<Duration>(left * share);
}

}  // namespace milepost::storage
