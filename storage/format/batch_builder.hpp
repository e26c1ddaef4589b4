#pragma once

#include "storage/base/bytes.hpp"
#include "storage/base/result.hpp"
#include "storage/format/compression.hpp"
#include "storage/format/offsets.hpp"
#include "storage/format/record.hpp"
#include "storage/format/record_batch.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>

namespace milepost::storage {

// The most bytes that a record with these parts takes in a batch.
[[nodiscard]] std::size_t record_bytes_max(const RecordView& record);

// Collects records with rising offsets, contiguous but for skip_to(), and writes them as one batch.
// Keeps its memory between batches. No allocation per record once warm.
class BatchBuilder {
public:
    // Begins a batch at `base`. Whatever was collected before is dropped.
    void start(Offset base);

    // Adds a record with the next offset, which it returns.
    Offset add(const RecordView& record);
    // The same for a record read from another batch: its headers are copied as they are.
    Offset add(const StoredRecord& record);

    // Leaves out the offsets before this one, as a batch that was thinned out has it. Not in a log
    // of ours.
    void skip_to(Offset offset) { delta_ = static_cast<std::int32_t>(offset - base_); }

    [[nodiscard]] bool empty() const { return count_ == 0; }

    [[nodiscard]] std::int32_t count() const { return count_; }

    [[nodiscard]] Offset base_offset() const { return base_; }

    [[nodiscard]] Offset next_offset() const { return base_ + delta_; }

    // Bytes of the finished batch if it is not compressed.
    [[nodiscard]] std::size_t plain_bytes() const { return used_; }

    [[nodiscard]] Timestamp max_timestamp() const { return max_timestamp_; }

    // The finished, uncompressed batch; valid until the next start().
    [[nodiscard]] Bytes finish_plain();
    // Appends the finished batch to `to`, its records compressed, or as they are if that is not
    // smaller.
    Result<void> finish(Codec codec, Buffer& to);

private:
    // Writes a record's fields in front of its headers; the caller writes those.
    struct Parts {
        Timestamp timestamp;
        std::optional<Bytes> key;
        std::optional<Bytes> value;
        std::size_t header_bytes;  // with their count
    };

    std::byte* begin_record(const Parts& parts);
    Offset end_record(const std::byte* end, Timestamp timestamp);
    void write_header(std::byte* to, std::size_t total_bytes, Codec codec) const;

    Buffer bytes_;  // header space, then records; its size is the room there is
    std::size_t used_ = batch_header_bytes;
    Offset base_;
    Timestamp first_timestamp_;
    Timestamp max_timestamp_;
    std::int32_t count_ = 0;
    std::int32_t delta_ = 0;  // the next record's offset, from base_
};

}  // namespace milepost::storage
