#pragma once

#include "storage/base/result.hpp"
#include "storage/format/compression.hpp"
#include "storage/fs/file_system.hpp"
#include "storage/journal/ring.hpp"
#include "storage/log/batch_merger.hpp"
#include "storage/log/committer.hpp"
#include "storage/log/keeper.hpp"
#include "storage/log/log.hpp"
#include "storage/log/log_config.hpp"
#include "storage/log/partition_set.hpp"
#include "storage/log/partition_writer.hpp"
#include "storage/log/retention.hpp"
#include "storage/log/ring_pace.hpp"
#include "storage/log/session_deltas.hpp"

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

namespace milepost::storage {

// Where the segments of all partitions stand: what a slot says of them.
[[nodiscard]] std::vector<CheckpointPartition> describe(const PartitionSet& partitions);

// Brings the segments level with the journal, and gives the journal's space back. In this order,
// each step durable before the next: the tails into segments, one sync a touched file; session
// deltas into the Keeper; the slot; then the ring is free.
// Thread: run() from any, one at a time by its own lock; beside the committer and readers.
class Checkpointer {
public:
    // All outlive the checkpointer.
    struct Parts {
        FileSystem& files;
        Ring* ring;  // until move_to()
        Committer& committer;
        PartitionSet& partitions;
        Keeper& keeper;
        const LogConfig& config;
        LogStats& stats;
        RingPace& pace;
    };

    explicit Checkpointer(Parts parts)
        : parts_(parts)
        , merger_(parts.config.batch_bytes) {
        // Nothing to do where no frame waits.
        if (parts.ring->used_bytes() == 0) saved_sequence_ = parts.ring->next_sequence();
    }

    // One checkpoint, here and now; nothing if nothing came since the last one. After an error
    // everything is as before, but that some partitions may be further; the next run goes on.
    Result<void> run();

    // Writes a step of a new ring that is not written to its end yet.
    Result<void> prewrite_step();

    [[nodiscard]] bool is_prewritten() const {
        return parts_.ring->prewritten_bytes() == parts_.ring->capacity_bytes();
    }

    // The ring failed, and nobody commits: brings the segments and the Keeper to where the journal
    // was, without it, and makes a ring of the next generation that goes on from there. Its name is
    // durable then. The tails are empty; the ring that failed is as before.
    Result<std::unique_ptr<Ring>> make_next_ring(const std::filesystem::path& journal_folder);
    // Goes on with the ring that make_next_ring() made.
    void move_to(Ring& ring);

    [[nodiscard]] bool is_poisoned() const { return parts_.ring->poisoned(); }

    // Gives the memory of the ring that holds nothing back: for quiet times.
    void release_idle_memory();

    // For retention. Says in both slots where the partitions begin now: what is below is removed
    // next, and no slot may ask for it.
    Result<void> save_starts();
    // See PartitionWriter::end_segment.
    Result<SegmentEnd> end_segment(PartitionId id, Offset end);

    // What the next slots say of the clock: when it was believed last.
    void set_clock(const ClockReading& clock) {
        const std::lock_guard guard{running_};
        clock_ = clock;
    }

    // Whether anything is durable that no checkpoint has.
    [[nodiscard]] bool behind() const {
        return parts_.committer.durable_sequence() != saved_sequence_.load();
    }

private:
    Result<void> run_locked();
    Result<void> bring_level();
    Result<void> free_ring(std::uint64_t next_sequence);
    Result<void> write_segments();
    Result<void> sync_segments();
    [[nodiscard]] std::size_t syncs_at_once() const;
    Result<void> save_sessions();
    [[nodiscard]] Checkpoint describe_now() const;
    void add_writers();
    Result<void> save_slot(std::uint64_t next_sequence);
    // The ring is nearly full: soon nobody is acknowledged.
    [[nodiscard]] bool in_a_hurry() const;
    [[nodiscard]] Codec codec_of(const TopicPartition& name) const;

    Parts parts_;
    std::mutex running_;
    BatchMerger merger_;
    SessionDeltas sessions_;                                 // durable, and not in the keeper yet
    std::vector<std::unique_ptr<PartitionWriter>> writers_;  // by partition
    std::atomic<std::uint64_t> saved_sequence_{0};
    std::optional<ClockReading> clock_;
};

}  // namespace milepost::storage
