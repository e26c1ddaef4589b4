#include "gateway/forward/chunk.hpp"

#include <algorithm>

namespace milepost::forward {

Result<void> Chunk::read(
    storage::Log& log,
    storage::PartitionId partition,
    storage::Offset from,
    std::size_t bytes_max
) {
    drop();
    const auto read = log.read(partition, from, bytes_max, raw_);
    if (!read) return read.error();
    partition_ = partition;
    from_ = from;
    end_ = std::max(from, read->next);
    rest_ = read->batches;
    return advance();
}

Result<void> Chunk::open_batch() {
    const auto header = storage::check_batch(rest_);
    if (!header) return header.error();
    auto cursor = storage::RecordCursor::open(rest_.first(header->total_bytes), *header, scratch_);
    if (!cursor) return cursor.error();
    rest_ = rest_.subspan(header->total_bytes);
    cursor_ = *cursor;
    return {};
}

Result<void> Chunk::advance() {
    record_.reset();
    while (true) {
        if (cursor_) {
            auto record = cursor_->next();
            if (!record) return record.error();
            if (record.value()) {
                if ((*record)->offset < from_) continue;  // the batch began before what was asked
                record_ = *record;
                return {};
            }
            cursor_.reset();
        }
        if (rest_.empty()) return {};
        MILEPOST_TRY(open_batch());
    }
}

}  // namespace milepost::forward
