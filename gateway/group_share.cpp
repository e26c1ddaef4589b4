#include "gateway/group_share.hpp"

#include <algorithm>
#include <chrono>

namespace milepost {

namespace {

constexpr Duration held_max = std::chrono::milliseconds{1};

}  // namespace

void GroupShare::committed(std::size_t group_bytes, Duration held) {
    bytes_ = bytes_max;
    if (held <= held_max) return;
    const auto part = static_cast<double>(held_max.count()) / static_cast<double>(held.count());
    const auto fitting = static_cast<std::size_t>(static_cast<double>(group_bytes) * part);
    bytes_ = std::clamp(fitting, bytes_min, bytes_max);
}

}  // namespace milepost
