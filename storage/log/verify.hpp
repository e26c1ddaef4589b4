#pragma once

#include "storage/base/result.hpp"
#include "storage/fs/file_system.hpp"
#include "storage/log/keeper.hpp"
#include "storage/log/segment_audit.hpp"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <vector>

namespace milepost::storage {

struct VerifyOptions {
    bool deep = false;  // also decompress and walk the records
    // What the gap ledger has: a hole that it covers is counted, and no reason to worry.
    std::vector<Gap> known_gaps{};
    bool has_lock = false;  // the caller holds the folder's
    // For `milepost repair`: each segment with what was known of it and what was found, and the
    // offsets that the checkpoint has and nothing else does.
    std::function<
        void(const TopicPartition&, const SegmentToAudit&, const SegmentAudit&, bool is_last)>
        on_segment{};
    std::function<void(const TopicPartition&, Offset first, Offset end)> on_missing_end{};
    // Called every few MiB while segments are read; both count bytes of `.log` files.
    std::function<void(std::uint64_t done, std::uint64_t all)> on_progress{};
};

// The last line of `milepost verify`.
struct VerifyReport {
    std::uint64_t records = 0;      // in segments, and in the journal only
    std::uint64_t damaged = 0;      // batches, frames, slots, index files
    std::uint64_t holes = 0;        // runs of offsets that are not there
    std::uint64_t known_holes = 0;  // of these: the gap ledger says why

    [[nodiscard]] bool is_sound() const { return damaged == 0 && holes == known_holes; }
};

// Walks every frame and batch of a data folder that no process has open, and writes nothing.
// Sound, and said in the file's note: a hole that the gap ledger has, a torn tail, a journal that
// is ahead of its segments, a missing index. `on_file` is called for each file, in the order of the
// walk. A folder whose first start was cut short before it had made a log is sound and empty.
// Errors: no_such_file_or_directory where there is no log, operation_would_block (the door's) while
// another process has the folder, and what the disk says.
Result<VerifyReport> verify_folder(
    FileSystem& files,
    const std::filesystem::path& data_dir,
    const VerifyOptions& options,
    const std::function<void(const VerifiedFile&)>& on_file
);

}  // namespace milepost::storage
