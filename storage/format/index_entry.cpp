#include "storage/format/index_entry.hpp"

namespace milepost::storage {

OffsetEntry decode_offset_entry(std::span<const std::byte, offset_entry_bytes> from) {
    return {
        .relative_offset = load_big<std::uint32_t>(from.data()),
        .position = load_big<std::uint32_t>(from.data() + 4),
    };
}

TimeEntry decode_time_entry(std::span<const std::byte, time_entry_bytes> from) {
    return {
        .timestamp = Timestamp{load_big<std::int64_t>(from.data())},
        .relative_offset = load_big<std::uint32_t>(from.data() + 8),
    };
}

std::array<std::byte, offset_entry_bytes> encode(const OffsetEntry& entry) {
    std::array<std::byte, offset_entry_bytes> bytes{};
    store_big(bytes.data(), entry.relative_offset);
    store_big(bytes.data() + 4, entry.position);
    return bytes;
}

std::array<std::byte, time_entry_bytes> encode(const TimeEntry& entry) {
    std::array<std::byte, time_entry_bytes> bytes{};
    store_big(bytes.data(), entry.timestamp.value());
    store_big(bytes.data() + 8, entry.relative_offset);
    return bytes;
}

}  // namespace milepost::storage
