#pragma once

#include "storage/base/time.hpp"

#include <algorithm>
#include <atomic>

namespace milepost::storage {

// What a sync takes lately, smoothed, by which a disk is quick or slow. A single one that took
// long, because somebody else had the core or the disk, counts as three times what is usual: that
// the disk has become slow is said by several on end. Threads: one notes, any asks.
class SyncTime {
public:
    void note(Duration took) {
        const Duration before = value();
        const Duration counted = std::min(took, before * outlier_factor);
        const Duration after = before == Duration::zero() ? took
                                                          : before + (counted - before) / smoothing;
        smoothed_.store(after.count(), std::memory_order_relaxed);
    }

    // 0: none was noted yet.
    [[nodiscard]] Duration value() const {
        return Duration{smoothed_.load(std::memory_order_relaxed)};
    }

private:
    static constexpr int smoothing = 8;  // it moves by so much of the difference
    static constexpr int outlier_factor = 3;

    std::atomic<Duration::rep> smoothed_{0};
};

}  // namespace milepost::storage
