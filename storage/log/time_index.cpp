#include "storage/log/time_index.hpp"

#include <array>

namespace milepost::storage {

namespace {

std::optional<TimeEntry> time_entry_at(File& file, std::uint64_t index) {
    std::array<std::byte, time_entry_bytes> bytes{};
    const auto got = file.read_at(FilePosition{index * time_entry_bytes}, bytes);
    if (!got || *got != bytes.size()) return std::nullopt;
    return decode_time_entry(bytes);
}

}  // namespace

std::optional<TimeEntry> TimeIndex::before(Timestamp timestamp) const {
    if (file_ == nullptr) return std::nullopt;
    const auto size = file_->size();
    if (!size) return std::nullopt;
    std::optional<TimeEntry> found;
    std::uint64_t low = 0;
    std::uint64_t high = *size / time_entry_bytes;
    while (low < high) {
        const std::uint64_t middle = low + (high - low) / 2;
        const auto entry = time_entry_at(*file_, middle);
        if (!entry) return std::nullopt;
        if (entry->timestamp < timestamp) {
            found = entry;
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return found;
}

Result<std::vector<TimeEntry>> load_time_index(File& file) {
    const auto size = file.size();
    if (!size) return size.error();
    Buffer bytes(*size);
    const auto got = file.read_at(FilePosition{0}, bytes);
    if (!got) return got.error();
    std::vector<TimeEntry> entries;
    entries.reserve(*got / time_entry_bytes);
    for (std::size_t at = 0; at + time_entry_bytes <= *got; at += time_entry_bytes) {
        entries.push_back(decode_time_entry(Bytes{bytes}.subspan(at).first<time_entry_bytes>()));
    }
    return entries;
}

std::size_t plausible_entries(const std::vector<TimeEntry>& entries, std::uint32_t relative_end) {
    std::size_t good = 0;
    for (; good < entries.size(); ++good) {
        if (entries[good].relative_offset >= relative_end) break;
        if (good == 0) continue;
        const TimeEntry& last = entries[good - 1];
        if (entries[good].timestamp <= last.timestamp) break;
        if (entries[good].relative_offset < last.relative_offset) break;
    }
    return good;
}

}  // namespace milepost::storage
