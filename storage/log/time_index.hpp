#pragma once

#include "storage/base/bytes.hpp"
#include "storage/base/result.hpp"
#include "storage/base/time.hpp"
#include "storage/format/index_entry.hpp"
#include "storage/fs/file_system.hpp"

#include <cstdint>
#include <optional>
#include <vector>

namespace milepost::storage {

// A segment's `.timeindex` as a reader asks it; the file is not kept in memory. Only a hint.
// Thread: any number at once.
class TimeIndex {
public:
    // `file` outlives the index; null where there is none.
    explicit TimeIndex(File* file)
        : file_(file) {}

    // The last entry with a timestamp below `timestamp`: up to its offset everything is older.
    // nullopt: from the beginning of the segment.
    [[nodiscard]] std::optional<TimeEntry> before(Timestamp timestamp) const;

private:
    File* file_;
};

// All whole entries of the file.
Result<std::vector<TimeEntry>> load_time_index(File& file);

// How many entries from the front rise strictly in the timestamp, never fall in the offset, and
// name an offset below `relative_end`: the rest is wrong.
[[nodiscard]] std::size_t plausible_entries(
    const std::vector<TimeEntry>& entries,
    std::uint32_t relative_end
);

}  // namespace milepost::storage
