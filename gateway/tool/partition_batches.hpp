#pragma once

#include "gateway/tool/log_source.hpp"
#include "gateway/tool/record_stream.hpp"
#include "storage/base/bytes.hpp"
#include "storage/format/offsets.hpp"
#include "storage/format/record_batch.hpp"

#include <cstddef>
#include <optional>
#include <string_view>

namespace milepost::tool {

struct CheckedBatch {
    storage::BatchHeader header;
    Bytes bytes;  // the whole batch
};

// The batches of one partition of a log, each checked, from those that hold a replay's next offset
// to those before its end. `log` outlives it.
class PartitionBatches {
public:
    PartitionBatches(LogSource& log, const StreamPosition& range, std::size_t chunk_bytes);

    // nullopt: there are no more. Valid until the next call.
    std::optional<CheckedBatch> next();

    // A Failure that says where.
    [[noreturn]] void refuse(std::string_view what, const ErrorCode& error) const;

private:
    bool fetch();

    LogSource& log_;
    storage::TopicPartition name_;
    storage::Offset fetch_;
    storage::Offset end_;
    std::size_t chunk_bytes_;
    Buffer bytes_;
    Bytes rest_;
};

// How much of each partition is read at once: of all together not more than is good for the memory.
[[nodiscard]] std::size_t chunk_bytes_of(std::size_t partitions);

}  // namespace milepost::tool
