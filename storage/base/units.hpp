#pragma once

#include <cstddef>
#include <cstdint>

namespace milepost {

inline constexpr std::size_t kib = 1024;
inline constexpr std::size_t mib = 1024 * kib;
inline constexpr std::uint64_t gib = std::uint64_t{1024} * mib;

}  // namespace milepost
