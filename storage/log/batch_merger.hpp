#pragma once

#include "storage/base/bytes.hpp"
#include "storage/base/result.hpp"
#include "storage/base/time.hpp"
#include "storage/format/batch_builder.hpp"
#include "storage/format/compression.hpp"
#include "storage/format/offsets.hpp"
#include "storage/log/tail.hpp"

#include <cstddef>
#include <functional>

namespace milepost::storage {

// A finished batch for a segment; `bytes` is valid during the call that hands it over.
struct MergedBatch {
    Offset base;
    Offset next;
    Bytes bytes;
    Timestamp max_timestamp;
};

// Makes few large compressed batches out of many small plain ones. Pure. Keeps its memory between
// partitions.
class BatchMerger {
public:
    using Emit = std::function<Result<void>(const MergedBatch&)>;

    explicit BatchMerger(std::size_t batch_bytes)
        : batch_bytes_(batch_bytes) {}

    // From here on: records from `from` on, compressed with `codec`, handed to `emit`.
    void start(Offset from, Codec codec, Emit emit);
    // The entry's records that are at or behind the place reached. Errors: of the entry's bytes, or
    // of emit().
    Result<void> add(const TailEntry& entry);
    // Hands over what is left.
    Result<void> flush();

private:
    std::size_t batch_bytes_;
    Codec codec_ = Codec::none;
    Emit emit_;
    Offset next_;
    BatchBuilder builder_;
    Buffer finished_;
    Buffer scratch_;
};

}  // namespace milepost::storage
