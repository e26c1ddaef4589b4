#pragma once

#include "storage/base/bytes.hpp"
#include "storage/base/result.hpp"
#include "storage/base/time.hpp"
#include "storage/format/offsets.hpp"
#include "storage/format/record_batch.hpp"
#include "storage/fs/file_system.hpp"

#include <cstdint>
#include <filesystem>

namespace milepost::storage {

// Decides which batches of a segment get entries, and encodes them: storage/FORMAT.md, "Index
// entries". Pure. Batches are noted in the order of their positions.
class SegmentIndexes {
public:
    explicit SegmentIndexes(Offset base)
        : base_(base) {}

    void note(const BatchHeader& header, std::uint64_t position);
    // The segment ends: the final time entry.
    void finish();

    // Entries that were made and not taken yet.
    Buffer offset_entries;
    Buffer time_entries;

    // Goes on behind entries that are in the files already.
    struct State {
        std::uint64_t indexed_position = 0;            // of the last offset entry's batch
        Timestamp indexed_timestamp = timestamp_none;  // of the last time entry
        Timestamp max_timestamp = timestamp_none;      // of all batches so far
        Offset max_timestamp_offset{};                 // last one of the batch that brought it
    };

    State state;

private:
    [[nodiscard]] std::uint32_t relative(Offset offset) const;
    void add_time_entry();

    Offset base_;
};

// What the index files of a segment hold that can be gone on with.
struct RecoveredIndexes {
    SegmentIndexes indexes;
    std::uint64_t offset_bytes = 0;  // good bytes in front of the files; 0: made again
    std::uint64_t time_bytes = 0;
    Offset next_offset{};  // behind the last batch
    bool rebuilt = false;  // missing or wrong: everything is in `indexes`
};

// Compares the index files with the batches [0, end) of `log` as far as is cheap (whole, plausible,
// and right at their ends), and makes what is missing, or all of it. Writes nothing.
Result<RecoveredIndexes> recover_indexes(
    FileSystem& files,
    const std::filesystem::path& folder,
    Offset base,
    File& log,
    std::uint64_t end
);

enum class IndexState : std::uint8_t { sound, mended };

// The same for a sealed segment, and writes both files anew if one is missing or wrong.
Result<IndexState> mend_indexes(
    FileSystem& files,
    const std::filesystem::path& folder,
    Offset base,
    std::uint64_t end
);

}  // namespace milepost::storage
