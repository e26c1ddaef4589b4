#pragma once

#include "storage/base/bytes.hpp"
#include "storage/base/result.hpp"
#include "storage/base/time.hpp"
#include "storage/format/offsets.hpp"
#include "storage/format/record_batch.hpp"
#include "storage/fs/file_system.hpp"
#include "storage/log/segment_indexes.hpp"

#include <cstdint>
#include <filesystem>
#include <memory>

namespace milepost::storage {

// A partition's active segment: appends finished batches and keeps the two sparse indexes. It acks
// nothing: what it holds is durable in the journal already.
// Thread: one at a time (the checkpointer's). Lifetime: `files` outlives it.
class SegmentWriter {
public:
    // A new segment, or an empty one that keeps the place of its offset. Its name is durable after
    // the first sync().
    static Result<std::unique_ptr<SegmentWriter>> create(
        FileSystem& files,
        const std::filesystem::path& folder,
        Offset base
    );

    // An existing segment of which `valid_bytes` are whole, checked batches: the rest is cut, and
    // so is what the indexes say about it. Missing or wrong entries are made again from the batch
    // headers. Not durable before sync().
    static Result<std::unique_ptr<SegmentWriter>> recover(
        FileSystem& files,
        const std::filesystem::path& folder,
        Offset base,
        std::uint64_t valid_bytes
    );

    SegmentWriter(const SegmentWriter&) = delete;
    SegmentWriter& operator=(const SegmentWriter&) = delete;
    ~SegmentWriter() = default;

    // One or more whole batches, one after the other, at or behind next_offset(), in one write.
    // When this returns the operating system has them and readers may be told of bytes(); the disk
    // has them after sync(). After an error the segment is as before, and it may be tried again.
    Result<void> append(Bytes batches);

    // A hint that sync() comes next: what is left to write out goes to the disk's queue now.
    void expect_sync();

    // The `.log` is on the disk up to bytes(). The indexes are written but not synced: they are
    // hints. After an error nothing since the last success can be believed, and every later call
    // gives the same error: cut the segment to synced_bytes() and write it again elsewhere.
    Result<void> sync();

    // Ends the segment: final time entry, everything synced, indexes too. No append after it.
    Result<void> seal();

    // Whether a batch of that many bytes that ends with `last_offset` may go into this segment.
    [[nodiscard]] bool fits(std::size_t batch_bytes, Offset last_offset, std::uint64_t bytes_max)
        const;

    [[nodiscard]] Offset base_offset() const { return base_; }

    [[nodiscard]] Offset next_offset() const { return next_offset_; }

    [[nodiscard]] std::uint64_t bytes() const { return bytes_; }

    [[nodiscard]] std::uint64_t synced_bytes() const { return synced_bytes_; }

    // timestamp_none while it is empty.
    [[nodiscard]] Timestamp max_timestamp() const { return indexes_.state.max_timestamp; }

private:
    SegmentWriter(FileSystem& files, std::filesystem::path folder, Offset base);

    Result<void> open_files(OpenMode mode);
    Result<void> flush_indexes();
    void begin_write_out(std::uint64_t end);

    FileSystem& files_;
    std::filesystem::path folder_;
    Offset base_;
    Offset next_offset_;
    std::uint64_t bytes_ = 0;
    std::uint64_t synced_bytes_ = 0;
    std::uint64_t handed_over_bytes_ = 0;  // to the disk's queue, in whole blocks
    SegmentIndexes indexes_;
    std::uint64_t offset_index_bytes_ = 0;
    std::uint64_t time_index_bytes_ = 0;
    std::unique_ptr<File> log_;
    std::unique_ptr<File> offset_file_;
    std::unique_ptr<File> time_file_;
    bool name_is_durable_ = false;
    bool sealed_ = false;
    ErrorCode sync_error_;
};

// Removes a segment's files, the `.log` last; what is not there is fine. Not durable before the
// folder is synced.
Result<void> remove_segment(FileSystem& files, const std::filesystem::path& folder, Offset base);

}  // namespace milepost::storage
