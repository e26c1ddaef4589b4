#include "storage/log/offset_index.hpp"

#include <array>

namespace milepost::storage {

namespace {

std::optional<OffsetEntry> offset_entry_at(File& file, std::uint64_t index) {
    std::array<std::byte, offset_entry_bytes> bytes{};
    const auto got = file.read_at(FilePosition{index * offset_entry_bytes}, bytes);
    if (!got || *got != bytes.size()) return std::nullopt;
    return decode_offset_entry(bytes);
}

}  // namespace

std::optional<OffsetEntry> OffsetIndex::before(std::uint32_t relative_offset) const {
    if (file_ == nullptr) return std::nullopt;
    const auto size = file_->size();
    if (!size) return std::nullopt;
    std::optional<OffsetEntry> found;
    std::uint64_t low = 0;
    std::uint64_t high = *size / offset_entry_bytes;
    while (low < high) {
        const std::uint64_t middle = low + (high - low) / 2;
        const auto entry = offset_entry_at(*file_, middle);
        if (!entry) return std::nullopt;
        if (entry->relative_offset < relative_offset) {
            found = entry;
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return found;
}

Result<std::vector<OffsetEntry>> load_offset_index(File& file) {
    const auto size = file.size();
    if (!size) return size.error();
    Buffer bytes(*size);
    const auto got = file.read_at(FilePosition{0}, bytes);
    if (!got) return got.error();
    std::vector<OffsetEntry> entries;
    entries.reserve(*got / offset_entry_bytes);
    for (std::size_t at = 0; at + offset_entry_bytes <= *got; at += offset_entry_bytes) {
        entries.push_back(decode_offset_entry(Bytes{bytes}.subspan(at).first<offset_entry_bytes>())
        );
    }
    return entries;
}

std::size_t plausible_entries(
    const std::vector<OffsetEntry>& entries,
    std::uint64_t segment_bytes
) {
    std::size_t good = 0;
    for (; good < entries.size(); ++good) {
        if (entries[good].position >= segment_bytes) break;
        if (good == 0) continue;
        const OffsetEntry& last = entries[good - 1];
        if (entries[good].position <= last.position) break;
        if (entries[good].relative_offset <= last.relative_offset) break;
    }
    return good;
}

}  // namespace milepost::storage
