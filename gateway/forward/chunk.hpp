#pragma once

#include "storage/base/bytes.hpp"
#include "storage/base/result.hpp"
#include "storage/format/offsets.hpp"
#include "storage/format/record.hpp"
#include "storage/format/record_batch.hpp"
#include "storage/log/log.hpp"

#include <cstddef>
#include <optional>

namespace milepost::forward {

// A piece of one partition, read from the log and walked record by record. Its memory is reused.
class Chunk {
public:
    // Reads on from `from`. Afterwards record() is the first record at or behind `from`; without
    // one, there is nothing below end().
    Result<void> read(
        storage::Log& log,
        storage::PartitionId partition,
        storage::Offset from,
        std::size_t bytes_max
    );

    // The record to be sent next; nullptr: the chunk is used up.
    [[nodiscard]] const storage::StoredRecord* record() const {
        return record_ ? &*record_ : nullptr;
    }

    // Goes to the next record. Errors: bytes that are no batch or no record.
    Result<void> advance();

    void drop() {
        record_.reset();
        cursor_.reset();
        rest_ = {};
    }

    [[nodiscard]] storage::PartitionId partition() const { return partition_; }

    // Where the chunk ends: the log has no more records below.
    [[nodiscard]] storage::Offset end() const { return end_; }

private:
    Result<void> open_batch();

    Buffer raw_;
    Buffer scratch_;
    Bytes rest_;
    std::optional<storage::RecordCursor> cursor_;
    std::optional<storage::StoredRecord> record_;
    storage::PartitionId partition_;
    storage::Offset from_;
    storage::Offset end_;
};

}  // namespace milepost::forward
