#pragma once

#include "storage/base/strong_int.hpp"

#include <chrono>
#include <cstdint>

namespace milepost {

// Wall time, milliseconds since 1970 UTC: Kafka's CreateTime. May jump; never used for durations.
struct TimestampTag;
using Timestamp = StrongInt<TimestampTag, std::int64_t>;

// Monotonic time: for time-outs, ages and durations. Has no meaning outside this process.
using Instant = std::chrono::steady_clock::time_point;
using Duration = std::chrono::steady_clock::duration;

inline constexpr Timestamp timestamp_none{-1};

[[nodiscard]] inline Timestamp wall_now() {
    const auto since_epoch = std::chrono::system_clock::now().time_since_epoch();
    return Timestamp{std::chrono::duration_cast<std::chrono::milliseconds>(since_epoch).count()};
}

[[nodiscard]] inline Instant monotonic_now() {
    return std::chrono::steady_clock::now();
}

}  // namespace milepost
