#pragma once

#include "storage/base/result.hpp"
#include "storage/fs/file_system.hpp"
#include "storage/journal/slot.hpp"
#include "storage/log/keeper.hpp"
#include "storage/log/segment_audit.hpp"
#include "storage/log/segment_repair.hpp"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace milepost::storage {

// One segment with something to do.
struct SegmentRepair {
    TopicPartition partition;
    SegmentToAudit segment;
    SegmentFindings findings;
    bool rewrites_log = false;
    bool makes_offset_index = false;
    bool makes_time_index = false;
    bool is_last = false;    // of its partition: it is appended to
    bool is_active = false;  // the checkpoint names it, with its length
};

struct RepairOptions {
    std::vector<Gap> known_gaps{};      // what the gap ledger has
    std::uint64_t machine_id_hash = 0;  // for a ring that is made anew
    bool makes_lock = false;            // carry_out follows; else a folder without a lock stays so
    std::function<void(std::uint64_t done, std::uint64_t all)> on_progress{};
};

// What `milepost repair` would do to a folder, found without writing anything.
struct RepairPlan {
    std::vector<std::string> actions;  // one line for people each, in the order of the work
    std::vector<std::string> notes;    // what is left alone
    std::uint64_t bytes_needed = 0;    // originals stay, so what is written needs room
    std::uint64_t bytes_available = 0;

    // For carry_out.
    std::filesystem::path data_dir;
    RepairOptions options;
    std::vector<SegmentRepair> segments;
    std::vector<Gap> gaps;                        // to enter
    std::vector<std::filesystem::path> leftover;  // segments of a repair that was cut short
    std::optional<std::uint32_t> ring;            // the one that counts
    std::optional<Slot> slot;
    std::uint64_t ring_bytes = 0;
    bool sets_ring_aside = false;
    bool opens_log = false;  // recovery has something to put right
    std::unique_ptr<FolderLock> lock;
};

// Errors: as verify_folder. `lock`: the folder's, if the caller has it already.
Result<RepairPlan> plan_repair(
    FileSystem& files,
    const std::filesystem::path& data_dir,
    const RepairOptions& options,
    std::unique_ptr<FolderLock> lock = nullptr
);

// Does it. May be killed at any moment: the log is then what it was, or repaired in part, and the
// next plan has the rest. Originals are kept as `<name>.damaged-<N>`. `keeper` is given the gaps,
// durably, before anything is replaced.
// Errors: no_space_on_device before anything is written, and what the disk says.
Result<void> carry_out(FileSystem& files, RepairPlan plan, Keeper& keeper);

}  // namespace milepost::storage
