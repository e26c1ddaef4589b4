#pragma once

#include "storage/base/bytes.hpp"
#include "storage/base/time.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace milepost::storage {

// Entries of a segment's two sparse indexes: storage/FORMAT.md, "Index entries". Offsets are
// relative to the segment's first; positions are bytes in its .log. Any bytes decode to some entry:
// an index is only a hint, and what it names is checked where it is used.
struct OffsetEntry {
    std::uint32_t relative_offset = 0;  // of the batch's last record
    std::uint32_t position = 0;         // of the batch

    friend bool operator==(const OffsetEntry&, const OffsetEntry&) = default;
};

struct TimeEntry {
    Timestamp timestamp;                // the largest so far in the segment
    std::uint32_t relative_offset = 0;  // of the last record of the batch that brought it

    friend bool operator==(const TimeEntry&, const TimeEntry&) = default;
};

inline constexpr std::size_t offset_entry_bytes = 8;
inline constexpr std::size_t time_entry_bytes = 12;

[[nodiscard]] OffsetEntry decode_offset_entry(std::span<const std::byte, offset_entry_bytes> from);
[[nodiscard]] TimeEntry decode_time_entry(std::span<const std::byte, time_entry_bytes> from);
[[nodiscard]] std::array<std::byte, offset_entry_bytes> encode(const OffsetEntry& entry);
[[nodiscard]] std::array<std::byte, time_entry_bytes> encode(const TimeEntry& entry);

}  // namespace milepost::storage
