#pragma once

#include "storage/base/time.hpp"
#include "storage/base/units.hpp"

#include <cstddef>

namespace milepost {

// What those who send much add to one group of commits, about. A millisecond's work at most, for a
// device that sends one reading waits for it; more at once would not be faster. And less where the
// nearly full ring holds groups apart: at the same rate smaller ones wait less for each other.
//
// Pure. Thread: its owner's.
class GroupShare {
public:
    static constexpr std::size_t bytes_max = 256 * kib;
    // On a disk whose syncs take longer than that anyway. With as much as comes, 1.5 MiB of it,
    // they take tens of milliseconds more; with bytes_max those who send much get half as much
    // through where each takes 5 ms whatever is in it.
    static constexpr std::size_t bytes_slow_disk = 512 * kib;
    // As much as still pays for a sync.
    static constexpr std::size_t bytes_min = 32 * kib;

    // A group of so many bytes is committed, and the next one is held for so long.
    void committed(std::size_t group_bytes, Duration held);

    [[nodiscard]] std::size_t bytes() const { return bytes_; }

private:
    std::size_t bytes_ = bytes_max;
};

}  // namespace milepost
