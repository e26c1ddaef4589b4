#pragma once

#include "storage/base/bytes.hpp"
#include "storage/base/result.hpp"
#include "storage/format/offsets.hpp"
#include "storage/format/record_batch.hpp"
#include "storage/fs/file_system.hpp"
#include "storage/log/segment_audit.hpp"

#include <array>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <vector>

namespace milepost::storage {

// A batch that stays.
struct KeptBatch {
    FilePosition from;
    std::size_t bytes = 0;
    Offset first;
    Offset next;
    // As it should be: of a batch whose records are right under their CRC, and whose neighbours say
    // what the fields outside of it (offset, length, epoch, magic) must have been.
    std::optional<std::array<std::byte, batch_header_bytes>> header{};
};

struct OffsetRange {
    Offset first;
    Offset end;
};

// What must be done to one `.log` so that every batch in it is right.
struct SegmentFindings {
    std::vector<KeptBatch> kept;
    std::vector<OffsetRange> lost;     // in rotten batches
    std::vector<OffsetRange> missing;  // jumps that no rot explains
    std::uint64_t rotten = 0;          // stretches of bytes
    std::uint64_t rotten_bytes = 0;
    std::uint64_t mended = 0;
    Offset next;  // behind everything, rot with known offsets too

    [[nodiscard]] bool needs_rewrite() const { return rotten + mended != 0; }
};

// Reads the segment as audit_segment does; `end`, if known, is where the partition goes on behind
// it: the next segment, or the checkpoint's next offset. Writes nothing.
Result<SegmentFindings> examine_segment(
    FileSystem& files,
    const SegmentToAudit& segment,
    std::optional<Offset> end
);

// Writes `kept` of `source` to unfinished_repair(`path`), in one go, and reads it back, checking.
// Synced; the caller renames it.
Result<void> write_kept(
    FileSystem& files,
    const std::filesystem::path& source,
    const std::filesystem::path& path,
    std::span<const KeptBatch> kept
);

// Both indexes of the first `bytes` of a `.log`, made from its batches.
struct IndexBytes {
    Buffer offsets;
    Buffer times;
};

Result<IndexBytes> index_segment(
    FileSystem& files,
    const std::filesystem::path& log,
    Offset base,
    std::uint64_t bytes,
    bool is_sealed
);

}  // namespace milepost::storage
