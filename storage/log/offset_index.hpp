#pragma once

#include "storage/base/bytes.hpp"
#include "storage/base/result.hpp"
#include "storage/format/index_entry.hpp"
#include "storage/fs/file_system.hpp"

#include <cstdint>
#include <optional>
#include <vector>

namespace milepost::storage {

// A new entry for the first batch that begins more than this behind the last indexed one.
inline constexpr std::uint32_t index_interval_bytes = 4096;

// A segment's `.index` as a reader asks it; the file is not kept in memory. Only a hint: whoever
// follows an entry checks what is there. Thread: any number at once.
class OffsetIndex {
public:
    // `file` outlives the index; null where there is none.
    explicit OffsetIndex(File* file)
        : file_(file) {}

    // The last entry whose batch ends before `relative_offset` begins; nullopt: from the beginning
    // of the segment. A file that cannot be read is a file that has no entry.
    [[nodiscard]] std::optional<OffsetEntry> before(std::uint32_t relative_offset) const;

private:
    File* file_;
};

// All whole entries of the file.
Result<std::vector<OffsetEntry>> load_offset_index(File& file);

// How many entries from the front rise strictly in both fields and lie in a segment of that many
// bytes: the rest is wrong.
[[nodiscard]] std::size_t plausible_entries(
    const std::vector<OffsetEntry>& entries,
    std::uint64_t segment_bytes
);

}  // namespace milepost::storage
