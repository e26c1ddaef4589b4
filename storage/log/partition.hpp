#pragma once

#include "storage/base/bytes.hpp"
#include "storage/base/result.hpp"
#include "storage/base/time.hpp"
#include "storage/format/offsets.hpp"
#include "storage/log/log.hpp"
#include "storage/log/reader_cache.hpp"
#include "storage/log/tail.hpp"

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <mutex>
#include <optional>
#include <vector>

namespace milepost::storage {

// A segment as readers may see it: no further than `bytes`, which is on the disk.
struct SegmentFacts {
    Offset base;
    Offset next;
    std::uint64_t bytes = 0;
    Timestamp max_timestamp = timestamp_none;  // none: nobody has looked
};

// One partition: four positions, the segments, the tail behind them. Threads: as each part says.
class Partition {
public:
    // `readers` outlives the partition.
    Partition(ReaderCache& readers, TopicPartition name, std::filesystem::path folder);

    [[nodiscard]] const TopicPartition& name() const { return name_; }

    [[nodiscard]] const std::filesystem::path& folder() const { return folder_; }

    // --- recovery, before anybody else knows the partition ---

    // In order; reading begins at the first one's base, appends go on at `next`.
    void restore(std::vector<SegmentFacts> segments, Offset next);
    void restore_tail(const TailEntry& entry);
    // Nothing is there between the end of what was restored and `next`: those offsets are gone, and
    // are not given again.
    void restore_end(Offset next);

    // --- the owner of the open group ---

    [[nodiscard]] Offset appended() const {
        return Offset{appended_.load(std::memory_order_relaxed)};
    }

    void set_appended(Offset next) { appended_.store(next.value(), std::memory_order_release); }

    // --- the committing thread ---

    // The entry's group is on the disk.
    void publish(const TailEntry& entry);

    // --- the checkpointer ---

    [[nodiscard]] std::vector<TailEntry> tail() const;
    // Behind the last record that a synced segment has.
    [[nodiscard]] Offset segments_end() const;
    // The last segment, if there is one.
    [[nodiscard]] std::optional<SegmentFacts> last_segment() const;
    // These are synced now: the first one replaces the last one that is known if it is the same
    // file. The tail below their end goes.
    void publish_segments(const std::vector<SegmentFacts>& written);

    // Segments that end at or before `end` are gone: forwarded and start move up, a reader is told
    // offset_out_of_range from now on. Returns them; their files are the caller's.
    [[nodiscard]] std::vector<SegmentFacts> drop_segments(Offset end);
    void note_max_timestamp(const SegmentFacts& segment, Timestamp newest);

    // --- any thread ---

    [[nodiscard]] Positions positions() const;
    void set_forwarded(Offset forwarded);
    [[nodiscard]] std::vector<SegmentFacts> segments() const;
    // See Log::read and Log::find_timestamp; `damaged` is set where rotten bytes were passed over.
    Result<ReadResult> read(Offset from, std::size_t bytes_max, Buffer& buffer, bool& damaged);
    Result<Offset> find_timestamp(Timestamp timestamp);

private:
    // The one place where a position moves up (but appended: it leads, and is nobody's end).
    void raise(std::atomic<std::int64_t>& position, Offset to);
    [[nodiscard]] std::optional<SegmentFacts> segment_for(Offset from) const;
    Result<std::optional<Offset>> find_in_segments(Timestamp timestamp);
    [[nodiscard]] bool is_gone(const SegmentFacts& segment) const;

    ReaderCache& readers_;
    TopicPartition name_;
    std::filesystem::path folder_;

    std::atomic<std::int64_t> start_{0};
    std::atomic<std::int64_t> forwarded_{0};
    std::atomic<std::int64_t> durable_{0};
    std::atomic<std::int64_t> appended_{0};

    mutable std::mutex mutex_;  // guards what follows; never held while a file is read
    Tail tail_;
    std::vector<SegmentFacts> segments_;
    Offset segments_end_;
    Offset restored_end_;  // what recovery found: behind the last record there may be a hole
};

}  // namespace milepost::storage
