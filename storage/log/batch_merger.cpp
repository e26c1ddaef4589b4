#include "storage/log/batch_merger.hpp"

#include "storage/format/record_batch.hpp"

#include <utility>

namespace milepost::storage {

void BatchMerger::start(Offset from, Codec codec, Emit emit) {
    codec_ = codec;
    emit_ = std::move(emit);
    next_ = from;
    builder_.start(from);
}

Result<void> BatchMerger::add(const TailEntry& entry) {
    auto header = decode_batch_header(entry.batch);
    if (!header) return header.error();
    auto cursor = RecordCursor::open(entry.batch, *header, scratch_);
    if (!cursor) return cursor.error();
    while (true) {
        auto record = cursor->next();
        if (!record) return record.error();
        if (!record->has_value()) return {};
        const StoredRecord& stored = **record;
        if (stored.offset < next_) continue;
        if (stored.offset > next_ || builder_.plain_bytes() >= batch_bytes_) {
            MILEPOST_TRY(flush());
            builder_.start(stored.offset);
        }
        next_ = builder_.add(stored) + 1;
    }
}

Result<void> BatchMerger::flush() {
    if (builder_.empty()) return {};
    finished_.clear();
    MILEPOST_TRY(builder_.finish(codec_, finished_));
    const MergedBatch batch{
        .base = builder_.base_offset(),
        .next = builder_.next_offset(),
        .bytes = finished_,
        .max_timestamp = builder_.max_timestamp()};
    builder_.start(next_);
    return emit_(batch);
}

}  // namespace milepost::storage
