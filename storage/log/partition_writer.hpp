#pragma once

#include "storage/base/bytes.hpp"
#include "storage/base/result.hpp"
#include "storage/format/compression.hpp"
#include "storage/format/offsets.hpp"
#include "storage/fs/file_system.hpp"
#include "storage/log/batch_merger.hpp"
#include "storage/log/partition.hpp"
#include "storage/log/segment_writer.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

namespace milepost::storage {

enum class SegmentEnd : std::uint8_t { ended, has_grown };

// Brings the segments of one partition level with its tail. Thread: the checkpointer's. Lifetime:
// `files` and `partition` outlive it.
//
// After an error nothing is lost: the tail has everything that was not published. A file whose sync
// failed is cut to what was synced before and never written again; the next attempt goes into a new
// one.
class PartitionWriter {
public:
    PartitionWriter(FileSystem& files, Partition& partition, std::size_t segment_bytes)
        : files_(files)
        , partition_(partition)
        , segment_bytes_(segment_bytes) {}

    // Writes what the tail has and no segment. Not on the disk before sync(), except what a roll
    // has sealed, which is published at once.
    Result<void> write(BatchMerger& merger, Codec codec);

    // What write() wrote is on the disk: readers are told, and the tail below it goes. Thread: any,
    // and those of different partitions at the same time.
    Result<void> sync();

    [[nodiscard]] bool needs_sync() const {
        return active_ && active_->synced_bytes() != active_->bytes();
    }

    // Bytes written since the last call.
    [[nodiscard]] std::uint64_t take_bytes_written();

    // Gives the open files back; they are opened again when needed. Only after sync().
    void close_files() { active_.reset(); }

    // Retention is about to take the last segment, which ends at `end`: an empty one, durable,
    // keeps the place of the offsets. Only after sync().
    Result<SegmentEnd> end_segment(Offset end);

private:
    Result<void> open_active(Offset from);
    Result<void> leave_distrusted(Offset from);
    Result<std::unique_ptr<SegmentWriter>> create_segment(Offset base);
    Result<void> remove_files(Offset base);
    Result<void> place(const MergedBatch& batch);
    Result<void> roll(Offset base);
    Result<void> flush_piece();
    void publish_active();
    template <class T>
    Result<void> abandon(const T& failed);

    FileSystem& files_;
    Partition& partition_;
    std::size_t segment_bytes_;
    std::unique_ptr<SegmentWriter> active_;
    Buffer piece_;  // whole batches that wait for one write
    Offset piece_next_;
    bool distrusted_ = false;
    Offset distrusted_base_;
    std::optional<Offset> ended_base_;  // of the segment that was ended last
    std::uint64_t bytes_written_ = 0;
};

}  // namespace milepost::storage
