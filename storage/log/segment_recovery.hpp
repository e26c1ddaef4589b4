#pragma once

#include "storage/base/result.hpp"
#include "storage/format/offsets.hpp"
#include "storage/fs/file_system.hpp"
#include "storage/journal/slot.hpp"
#include "storage/log/log.hpp"
#include "storage/log/partition.hpp"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <vector>

namespace milepost::storage {

// What is known about a partition before its folder is looked at.
struct SegmentsKnown {
    // Its entry in the checkpoint; none: the checkpoint does not know it.
    std::optional<CheckpointPartition> checkpoint;
    // Without one nothing says where to begin: then the last segment is scanned, and no more.
    bool has_slot = false;
    bool read_only = false;
};

struct RecoveredSegments {
    std::vector<SegmentFacts> segments;
    Offset end;  // behind the last record that they have
};

// Finds the segments of one partition and applies the table of recovery_table.hpp to what lies
// behind the checkpoint. What is kept there is written again and synced, because nobody knows
// whether it was; the rest is cut. Read only: cuts in memory. Reads nothing below the checkpoint.
Result<RecoveredSegments> recover_segments(
    FileSystem& files,
    const std::filesystem::path& folder,
    const SegmentsKnown& known,
    RecoveryReport& report
);

}  // namespace milepost::storage
