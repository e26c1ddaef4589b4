#pragma once

#include "storage/base/bytes.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>

namespace milepost::storage {

// Kafka's varint and varlong: zigzag, base 128, the least significant group first.
inline constexpr std::size_t varint_bytes_max = 5;
inline constexpr std::size_t varlong_bytes_max = 10;

[[nodiscard]] constexpr std::uint32_t zigzag(std::int32_t value) {
    return (static_cast<std::uint32_t>(value) << 1U) ^ static_cast<std::uint32_t>(value >> 31);
}

[[nodiscard]] constexpr std::uint64_t zigzag(std::int64_t value) {
    return (static_cast<std::uint64_t>(value) << 1U) ^ static_cast<std::uint64_t>(value >> 63);
}

[[nodiscard]] constexpr std::size_t varlong_bytes(std::int64_t value) {
    std::size_t bytes = 1;
    for (std::uint64_t rest = zigzag(value); rest >= 0x80U; rest >>= 7U) {
        ++bytes;
    }
    return bytes;
}

[[nodiscard]] constexpr std::size_t varint_bytes(std::int32_t value) {
    return varlong_bytes(value);
}

// Writes to `to`, which has room for the maximum; returns the byte behind what was written.
// A varint is a varlong of a small number: both have the same bytes.
[[nodiscard]] constexpr std::byte* write_varlong(std::byte* to, std::int64_t value) {
    std::uint64_t rest = zigzag(value);
    while (rest >= 0x80U) {
        *to++ = static_cast<std::byte>(rest | 0x80U);
        rest >>= 7U;
    }
    *to++ = static_cast<std::byte>(rest);
    return to;
}

[[nodiscard]] constexpr std::byte* write_varint(std::byte* to, std::int32_t value) {
    return write_varlong(to, value);
}

// Numbers of more than one byte, for the two below.
[[nodiscard]] std::optional<std::int64_t> read_long_varlong(ByteReader& from);
[[nodiscard]] std::optional<std::int32_t> read_long_varint(ByteReader& from);

[[nodiscard]] constexpr std::int64_t unzigzag(std::uint64_t value) {
    return static_cast<std::int64_t>((value >> 1U) ^ (~(value & 1U) + 1U));
}

// nullopt, and the reader where it was, if the bytes end early or the number has more bits than
// fit. Most numbers in a batch are of one byte.
[[nodiscard]] inline std::optional<std::int64_t> read_varlong(ByteReader& from) {
    const Bytes rest = from.rest();
    if (rest.empty()) return std::nullopt;
    const auto first = std::to_integer<std::uint8_t>(rest.front());
    if (first >= 0x80U) return read_long_varlong(from);
    from = ByteReader{rest.subspan(1)};
    return unzigzag(first);
}

[[nodiscard]] inline std::optional<std::int32_t> read_varint(ByteReader& from) {
    const Bytes rest = from.rest();
    if (rest.empty()) return std::nullopt;
    const auto first = std::to_integer<std::uint8_t>(rest.front());
    if (first >= 0x80U) return read_long_varint(from);
    from = ByteReader{rest.subspan(1)};
    return static_cast<std::int32_t>(unzigzag(first));
}

}  // namespace milepost::storage
