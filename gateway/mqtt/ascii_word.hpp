#pragma once

#include <cstddef>
#include <cstdint>

// Eight bytes of text looked at as one word.
namespace milepost::mqtt {

inline constexpr std::size_t word_bytes = sizeof(std::uint64_t);
// Times a byte: that byte in each place.
inline constexpr std::uint64_t every_byte = 0x0101010101010101;
inline constexpr std::uint64_t top_bits = every_byte * 0x80;

}  // namespace milepost::mqtt
