#include "gateway/tool/partition_batches.hpp"

#include "gateway/tool/failure.hpp"
#include "storage/base/units.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

namespace milepost::tool {

namespace {

// Read ahead, of all partitions together; a batch of the log is smaller than the least of one.
constexpr std::size_t read_ahead_bytes = 16 * mib;
constexpr std::size_t chunk_bytes_max = mib;
constexpr std::size_t chunk_bytes_min = 64 * kib;

}  // namespace

PartitionBatches::PartitionBatches(
    LogSource& log,
    const StreamPosition& range,
    std::size_t chunk_bytes
)
    : log_(log)
    , name_(range.name)
    , fetch_(range.next)
    , end_(range.end)
    , chunk_bytes_(chunk_bytes) {}

void PartitionBatches::refuse(std::string_view what, const ErrorCode& error) const {
    throw Failure{
        exit_run_time,
        fmt::format(
            "{}-{} near offset {}: {}: {}",
            name_.topic,
            name_.partition,
            fetch_.value(),
            what,
            error.message()
        )};
}

std::optional<CheckedBatch> PartitionBatches::next() {
    if (rest_.empty() && !fetch()) return std::nullopt;
    const auto header = storage::check_batch(rest_);
    if (!header) refuse("a batch is rotten", header.error());
    const auto bytes = rest_.first(header->total_bytes);
    rest_ = rest_.subspan(header->total_bytes);
    return CheckedBatch{*header, bytes};
}

bool PartitionBatches::fetch() {
    while (fetch_ < end_) {
        const auto chunk = log_.read(name_, fetch_, chunk_bytes_);
        if (chunk.durable < fetch_) {
            throw Failure{exit_run_time, "the log is another one now: its end moved back"};
        }
        if (chunk.start > fetch_) {
            fmt::print(
                stderr,
                "milepost: {}-{}: offsets {} to {} are not kept any more\n",
                name_.topic,
                name_.partition,
                fetch_.value(),
                chunk.start.value() - 1
            );
            fetch_ = chunk.start;
            continue;
        }
        if (chunk.next <= fetch_) return false;
        fetch_ = chunk.next;
        bytes_.assign(chunk.batches.begin(), chunk.batches.end());
        rest_ = bytes_;
        if (!rest_.empty()) return true;
    }
    return false;
}

std::size_t chunk_bytes_of(std::size_t partitions) {
    return std::clamp(read_ahead_bytes / partitions, chunk_bytes_min, chunk_bytes_max);
}

}  // namespace milepost::tool
