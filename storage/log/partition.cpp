#include "storage/log/partition.hpp"

#include "storage/base/check.hpp"
#include "storage/base/units.hpp"
#include "storage/format/record_batch.hpp"
#include "storage/log/errc.hpp"

#include <algorithm>
#include <utility>

namespace milepost::storage {

namespace {

// What one read copies from the tail: the committing thread may wait for the mutex meanwhile.
constexpr std::size_t tail_read_bytes_max = 256 * kib;

Result<std::optional<Offset>> find_in_batch(const TailEntry& entry, Timestamp timestamp) {
    auto header = decode_batch_header(entry.batch);
    if (!header) return header.error();
    Buffer scratch;
    auto cursor = RecordCursor::open(entry.batch, *header, scratch);
    if (!cursor) return cursor.error();
    while (true) {
        auto record = cursor->next();
        if (!record) return record.error();
        if (!record->has_value()) return std::optional<Offset>{};
        if ((*record)->timestamp >= timestamp && (*record)->offset >= entry.base) {
            return std::optional{(*record)->offset};
        }
    }
}

// Drops the batches that go behind the end of their segment. Such a one was left by a checkpoint
// that failed, and the next segment has it; or, where it is the first one, its base offset rotted:
// that is outside of the CRC, and no batch follows that would contradict it.
void keep_below(Offset end, Buffer& batches, Offset& next) {
    std::size_t kept = 0;
    while (kept < batches.size()) {
        const auto header = decode_batch_header(Bytes{batches}.subspan(kept));
        if (!header || header->next_offset() > end) break;
        kept += header->total_bytes;
        next = header->next_offset();
    }
    batches.resize(kept);
}

}  // namespace

Partition::Partition(ReaderCache& readers, TopicPartition name, std::filesystem::path folder)
    : readers_(readers)
    , name_(std::move(name))
    , folder_(std::move(folder)) {}

void Partition::restore(std::vector<SegmentFacts> segments, Offset next) {
    const Offset start = segments.empty() ? next : segments.front().base;
    segments_ = std::move(segments);
    segments_end_ = next;
    start_ = start.value();
    forwarded_ = start.value();
    durable_ = next.value();
    appended_ = next.value();
}

void Partition::restore_tail(const TailEntry& entry) {
    if (segments_.empty() && tail_.empty()) restore({}, entry.base);
    tail_.push(entry);
    restore_end(entry.next);
}

void Partition::restore_end(Offset next) {
    MILEPOST_CHECK(next.value() >= durable_);
    if (segments_.empty() && tail_.empty()) return restore({}, next);
    if (tail_.empty()) segments_end_ = next;
    restored_end_ = next;
    durable_ = next.value();
    appended_ = next.value();
}

void Partition::publish(const TailEntry& entry) {
    const std::lock_guard guard{mutex_};
    tail_.push(entry);
    raise(durable_, entry.next);
}

std::vector<TailEntry> Partition::tail() const {
    const std::lock_guard guard{mutex_};
    return tail_.entries();
}

Offset Partition::segments_end() const {
    const std::lock_guard guard{mutex_};
    return segments_end_;
}

std::optional<SegmentFacts> Partition::last_segment() const {
    const std::lock_guard guard{mutex_};
    if (segments_.empty()) return std::nullopt;
    return segments_.back();
}

void Partition::publish_segments(const std::vector<SegmentFacts>& written) {
    const std::lock_guard guard{mutex_};
    for (const SegmentFacts& segment : written) {
        MILEPOST_CHECK(segment.next >= segments_end_);
        if (!segments_.empty() && segments_.back().base == segment.base) segments_.pop_back();
        segments_.push_back(segment);
        segments_end_ = segment.next;
    }
    tail_.drop_before(segments_end_);
    // A hole at the end belongs to what a checkpoint says of the segments: the frames that prove it
    // are freed with it.
    if (tail_.empty()) segments_end_ = std::max(segments_end_, restored_end_);
}

std::vector<SegmentFacts> Partition::drop_segments(Offset end) {
    const std::lock_guard guard{mutex_};
    const auto kept = std::find_if(segments_.begin(), segments_.end(), [&](const auto& segment) {
        return segment.next > end;
    });
    std::vector<SegmentFacts> dropped{segments_.begin(), kept};
    segments_.erase(segments_.begin(), kept);
    if (dropped.empty()) return dropped;
    const Offset start = segments_.empty() ? segments_end_ : segments_.front().base;
    raise(forwarded_, start);
    raise(start_, start);
    return dropped;
}

void Partition::note_max_timestamp(const SegmentFacts& segment, Timestamp newest) {
    const std::lock_guard guard{mutex_};
    for (SegmentFacts& known : segments_) {
        const bool is_same = known.base == segment.base && known.bytes == segment.bytes;
        if (is_same) known.max_timestamp = newest;
    }
}

Positions Partition::positions() const {
    // They only rise, and each is raised after what bounds it: read in this order they are ordered.
    Positions positions;
    positions.start = Offset{start_.load(std::memory_order_acquire)};
    positions.forwarded = Offset{forwarded_.load(std::memory_order_acquire)};
    positions.durable = Offset{durable_.load(std::memory_order_acquire)};
    positions.appended = Offset{appended_.load(std::memory_order_acquire)};
    MILEPOST_CHECK(positions.start <= positions.forwarded);
    MILEPOST_CHECK(positions.forwarded <= positions.durable);
    MILEPOST_CHECK(positions.durable <= positions.appended);
    return positions;
}

void Partition::set_forwarded(Offset forwarded) {
    const std::lock_guard guard{mutex_};
    const Offset durable{durable_.load(std::memory_order_relaxed)};
    raise(forwarded_, std::min(forwarded, durable));
}

void Partition::raise(std::atomic<std::int64_t>& position, Offset to) {
    if (to.value() > position.load(std::memory_order_relaxed)) {
        position.store(to.value(), std::memory_order_release);
    }
}

std::vector<SegmentFacts> Partition::segments() const {
    const std::lock_guard guard{mutex_};
    return segments_;
}

std::optional<SegmentFacts> Partition::segment_for(Offset from) const {
    const auto found = std::partition_point(
        segments_.begin(),
        segments_.end(),
        [&](const SegmentFacts& segment) { return segment.next <= from; }
    );
    if (found == segments_.end()) return std::nullopt;
    return *found;
}

bool Partition::is_gone(const SegmentFacts& segment) const {
    return segment.base.value() < start_.load(std::memory_order_acquire);
}

Result<ReadResult> Partition::read(
    Offset from,
    std::size_t bytes_max,
    Buffer& buffer,
    bool& damaged
) {
    buffer.clear();
    while (true) {
        std::optional<SegmentFacts> segment;
        {
            const std::lock_guard guard{mutex_};
            const Offset durable{durable_.load(std::memory_order_relaxed)};
            if (from < Offset{start_.load(std::memory_order_relaxed)} || from > durable) {
                return LogErrc::offset_out_of_range;
            }
            segment = segment_for(from);
            if (!segment) {
                const auto copied =
                    tail_.copy(from, std::min(bytes_max, tail_read_bytes_max), buffer);
                if (buffer.empty())
                    return ReadResult{.first = durable, .next = durable, .batches = {}};
                return ReadResult{.first = copied.first, .next = copied.next, .batches = buffer};
            }
        }
        auto reader = readers_.get(folder_, segment->base);
        if (!reader) {
            if (is_gone(*segment)) return LogErrc::offset_out_of_range;
            return reader.error();
        }
        auto got = (*reader)->read(from, bytes_max, FilePosition{segment->bytes}, buffer);
        if (is_gone(*segment)) readers_.forget(folder_, segment->base);  // its space is wanted
        if (!got) return got.error();
        damaged = damaged || got->damaged;
        if (got->next > segment->next) {
            keep_below(segment->next, buffer, got->next);
            damaged = damaged || buffer.empty();
        }
        if (!buffer.empty()) {
            return ReadResult{.first = got->first, .next = got->next, .batches = buffer};
        }
        from = segment->next;  // nothing is left of it: go on behind
    }
}

Result<Offset> Partition::find_timestamp(Timestamp timestamp) {
    while (true) {
        const Offset end = segments_end();
        auto found = find_in_segments(timestamp);
        if (!found) return found.error();
        if (found->has_value()) return **found;
        const std::lock_guard guard{mutex_};
        // A checkpoint has moved records out of the tail meanwhile: they may be in neither.
        if (segments_end_ != end) continue;
        if (const auto entry = tail_.find_timestamp(timestamp)) {
            auto in_batch = find_in_batch(*entry, timestamp);
            if (!in_batch) return in_batch.error();
            if (in_batch->has_value()) return **in_batch;
        }
        return Offset{durable_.load(std::memory_order_relaxed)};
    }
}

Result<std::optional<Offset>> Partition::find_in_segments(Timestamp timestamp) {
    for (const SegmentFacts& segment : segments()) {
        auto reader = readers_.get(folder_, segment.base);
        if (!reader && is_gone(segment)) continue;
        if (!reader) return reader.error();
        auto found = (*reader)->find_timestamp(timestamp, FilePosition{segment.bytes});
        if (!found) return found.error();
        if (is_gone(segment)) {
            readers_.forget(folder_, segment.base);
            continue;
        }
        if (found->has_value()) return *found;
    }
    return std::optional<Offset>{};
}

}  // namespace milepost::storage
