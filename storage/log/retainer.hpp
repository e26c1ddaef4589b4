#pragma once

#include "storage/base/result.hpp"
#include "storage/fs/file_system.hpp"
#include "storage/log/checkpointer.hpp"
#include "storage/log/keeper.hpp"
#include "storage/log/log.hpp"
#include "storage/log/log_config.hpp"
#include "storage/log/partition_set.hpp"
#include "storage/log/reader_cache.hpp"
#include "storage/log/retention.hpp"

#include <algorithm>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <mutex>
#include <set>
#include <span>
#include <string_view>

namespace milepost::storage {

// Does what plan_retention() says, each step durable before the next: what is lost into the gap
// ledger; `start` up, in memory and in both checkpoint slots; then the files. A crash between them
// is gone on with at the next start: by finish() from the ledger, by recovery from the slot.
// Thread: any, one at a time by its own lock; beside the committer, the checkpointer and readers.
class Retainer {
public:
    // All outlive it.
    struct Parts {
        FileSystem& files;
        PartitionSet& partitions;
        Checkpointer& checkpointer;
        ReaderCache& readers;
        Keeper& keeper;
        const LogConfig& config;
        LogStats& stats;
    };

    // `reference`: what the checkpoint slot says of the clock.
    Retainer(Parts parts, const ClockReading& reference);

    // What an earlier process had entered in the ledger of this log and may not have done. An entry
    // that does not say that it is this log's removes nothing. Before run().
    void finish(std::span<const Gap> recorded, std::string_view log_id);

    // Removes what may go. After an error the rest is tried again at the next run.
    Result<void> run(const ClockReading& now);

    // What has to go for the log to be below its limit, and the disk above the reserve; 0: nothing.
    [[nodiscard]] std::uint64_t bytes_needed();

private:
    struct OldFile {
        std::filesystem::path folder;
        SegmentFacts segment;
    };

    // Bytes that should go: for the log's own limit, and for the reserve of the disk.
    struct Needs {
        std::uint64_t over_limit = 0;
        std::uint64_t of_disk = 0;

        [[nodiscard]] std::uint64_t most() const { return std::max(over_limit, of_disk); }
    };

    [[nodiscard]] Needs work_out_needs();
    [[nodiscard]] RetentionInput look(const Needs& needs, Timestamp now);
    [[nodiscard]] TopicRetention limits_of(const TopicPartition& name) const;
    Timestamp find_max_timestamp(const Partition& partition, const SegmentFacts& segment);
    Result<void> let_go(const Removal& removal);
    Result<void> record_loss(Partition& partition, const Removal& removal);
    void drop(Partition& partition, Offset end);
    Result<void> remove_old_files();
    Result<void> sync_folders();

    Parts parts_;
    std::mutex running_;
    AgeClock clock_;
    std::deque<OldFile> old_files_;                     // below `start`, not removed yet
    std::set<std::filesystem::path> unsynced_folders_;  // files were removed from them
};

}  // namespace milepost::storage
