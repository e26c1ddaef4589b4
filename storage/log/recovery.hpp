#pragma once

#include "storage/base/result.hpp"
#include "storage/fs/file_system.hpp"
#include "storage/journal/replay.hpp"
#include "storage/log/log.hpp"
#include "storage/log/partition_set.hpp"
#include "storage/log/reader_cache.hpp"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>

namespace milepost::storage {

struct RecoveryInput {
    FileSystem& files;
    const std::filesystem::path& data_dir;
    // The newest checkpoint, if there is one.
    const std::optional<Slot>& slot;
    // They point into a mirror that stays as long as the partitions' tails hold them.
    std::span<const ReplayedFrame> frames;
    std::span<const SequenceHole> holes;
    std::span<const LostRecords> lost{};
    bool read_only = false;
};

// Brings the partitions to where they were: segments first, then what only the journal has, by
// offset, as recovery_table.hpp says. Logs nothing, tells nobody: what it found is in the report.
// Does not grow with the log.
Result<void> recover(
    const RecoveryInput& input,
    PartitionSet& partitions,
    ReaderCache& readers,
    RecoveryReport& report
);

enum class SegmentsThere : std::uint8_t { none, some };

// Whether any partition's folder in `data_dir` has a segment.
Result<SegmentsThere> look_for_segments(FileSystem& files, const std::filesystem::path& data_dir);

}  // namespace milepost::storage
