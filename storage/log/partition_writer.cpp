#include "storage/log/partition_writer.hpp"

#include "storage/base/units.hpp"
#include "storage/log/segment_name.hpp"

#include <algorithm>
#include <utility>

namespace milepost::storage {

namespace {

// Each goes to the disk's queue as soon as it is there: a commit never waits behind much more.
constexpr std::size_t piece_bytes_max = 256 * kib;

}  // namespace

Result<void> PartitionWriter::write(BatchMerger& merger, Codec codec) {
    const std::vector<TailEntry> entries = partition_.tail();
    if (entries.empty()) return {};
    const Offset from = std::max(partition_.segments_end(), entries.front().base);
    if (auto opened = open_active(from); !opened) return abandon(opened);

    merger.start(from, codec, [this](const MergedBatch& batch) { return place(batch); });
    for (const TailEntry& entry : entries) {
        if (auto added = merger.add(entry); !added) return abandon(added);
    }
    if (auto flushed = merger.flush(); !flushed) return abandon(flushed);
    if (auto flushed = flush_piece(); !flushed) return abandon(flushed);
    Buffer{}.swap(piece_);  // with many partitions the memory of each would add up
    active_->expect_sync();
    return {};
}

Result<void> PartitionWriter::sync() {
    if (!needs_sync()) return {};
    if (auto synced = active_->sync(); !synced) {
        distrusted_ = true;
        distrusted_base_ = active_->base_offset();
        return abandon(synced);
    }
    publish_active();
    return {};
}

std::uint64_t PartitionWriter::take_bytes_written() {
    return std::exchange(bytes_written_, 0);
}

Result<void> PartitionWriter::open_active(Offset from) {
    if (active_) return {};
    if (distrusted_) MILEPOST_TRY(leave_distrusted(from));
    const auto last = partition_.last_segment();
    // A segment that has ended stays so, although the next one could not be begun: files of that
    // one may be there, and recovery ends a segment where the next one begins.
    const bool goes_on = last && !distrusted_ && last->base != ended_base_;
    auto opened = goes_on
                      ? SegmentWriter::recover(files_, partition_.folder(), last->base, last->bytes)
                      : create_segment(from);
    if (!opened) return opened.error();
    active_ = std::move(*opened);
    distrusted_ = false;
    return {};
}

// A sync of the last file failed. What was published of it stays, what was not is cut off, and
// where nothing was published the file goes. None of this needs to be durable: recovery ends a
// segment where the next one begins.
Result<void> PartitionWriter::leave_distrusted(Offset from) {
    const auto last = partition_.last_segment();
    if (last && last->base == distrusted_base_ && last->bytes > 0) {
        auto cut = SegmentWriter::recover(files_, partition_.folder(), last->base, last->bytes);
        if (!cut) return cut.error();
        // Its final time entry is a hint, and its sync may fail once more.
        (void)(*cut)->seal().has_error();
        ended_base_ = last->base;
        return {};
    }
    return distrusted_base_ == from ? remove_files(from) : Result<void>{};
}

// A try that failed may have left files of this base, of which nothing was published: they would be
// in the way for ever.
Result<std::unique_ptr<SegmentWriter>> PartitionWriter::create_segment(Offset base) {
    auto made = SegmentWriter::create(files_, partition_.folder(), base);
    if (made || made.error() != boost::system::errc::file_exists) return made;
    MILEPOST_TRY(remove_files(base));
    return SegmentWriter::create(files_, partition_.folder(), base);
}

Result<void> PartitionWriter::remove_files(Offset base) {
    return remove_segment(files_, partition_.folder(), base);
}

// What may lie in a file of that name was never published.
Result<SegmentEnd> PartitionWriter::end_segment(Offset end) {
    const auto last = partition_.last_segment();
    if (!last || last->next != end) return SegmentEnd::has_grown;
    active_.reset();
    const auto path = segment_path(partition_.folder(), end, SegmentFile::log);
    auto place = files_.open(path, OpenMode::create);
    if (!place) return place.error();
    MILEPOST_TRY((*place)->truncate(0));
    MILEPOST_TRY((*place)->sync());
    MILEPOST_TRY(files_.sync_directory(partition_.folder()));
    return SegmentEnd::ended;
}

Result<void> PartitionWriter::place(const MergedBatch& batch) {
    const std::size_t waiting = piece_.size() + batch.bytes.size();
    const bool is_first = active_->bytes() + piece_.size() == 0;
    // What waits for one write counts as well, where a segment is smaller than a piece.
    const bool fits = active_->bytes() + waiting <= segment_bytes_ &&
                      active_->fits(waiting, batch.next - 1, segment_bytes_);
    if (!is_first && !fits) MILEPOST_TRY(roll(batch.base));
    append_bytes(piece_, batch.bytes);
    piece_next_ = batch.next;
    if (piece_.size() >= piece_bytes_max) MILEPOST_TRY(flush_piece());
    return {};
}

Result<void> PartitionWriter::roll(Offset base) {
    MILEPOST_TRY(flush_piece());
    if (auto sealed = active_->seal(); !sealed) {
        distrusted_ = true;
        distrusted_base_ = active_->base_offset();
        return sealed.error();
    }
    // Behind a hole at the end nothing of it may be new.
    if (active_->next_offset() >= partition_.segments_end()) publish_active();
    ended_base_ = active_->base_offset();
    auto made = create_segment(base);
    if (!made) return made.error();
    active_ = std::move(*made);
    return {};
}

Result<void> PartitionWriter::flush_piece() {
    if (piece_.empty()) return {};
    MILEPOST_TRY(active_->append(piece_));
    bytes_written_ += piece_.size();
    piece_.clear();
    return {};
}

void PartitionWriter::publish_active() {
    partition_.publish_segments({SegmentFacts{
        .base = active_->base_offset(),
        .next = active_->next_offset(),
        .bytes = active_->bytes(),
        .max_timestamp = active_->max_timestamp()}});
}

template <class T>
Result<void> PartitionWriter::abandon(const T& failed) {
    active_.reset();
    piece_.clear();
    return failed.error();
}

}  // namespace milepost::storage
