#include "gateway/tool/failure.hpp"
#include "gateway/tool/log_source.hpp"
#include "gateway/tool/merge_stream.hpp"
#include "gateway/tool/partition_batches.hpp"
#include "gateway/tool/stored_head.hpp"
#include "storage/format/record_batch.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

namespace milepost::tool {

namespace {

class LogLane final : public Lane {
public:
    LogLane(
        LogSource& log,
        const Selection& selection,
        StreamPosition position,
        const std::string& identity,
        std::size_t chunk_bytes
    )
        : Lane(std::move(position))
        , selection_(selection)
        , batches_(log, position_, chunk_bytes)
        , shown_(identity, position_.name) {}

    bool advance() override {
        while (next_of_batch() || next_batch()) {
            if (!stored_) continue;
            if (stored_->offset >= position_.end) break;
            if (stored_->offset < position_.next || !selection_.wants_key(stored_->key)) continue;
            shown_.show(*stored_, position_.name, head_);
            return true;
        }
        position_.next = std::max(position_.next, position_.end);
        return false;
    }

private:
    bool next_of_batch() {
        if (!cursor_) return false;
        const auto record = cursor_->next();
        if (!record) batches_.refuse("a record is rotten", record.error());
        stored_ = *record;
        if (!stored_) cursor_.reset();
        return stored_.has_value();
    }

    // Opens the next batch, without a head yet.
    bool next_batch() {
        stored_.reset();
        const auto batch = batches_.next();
        if (!batch) return false;
        auto cursor = storage::RecordCursor::open(batch->bytes, batch->header, scratch_);
        if (!cursor) batches_.refuse("a batch cannot be read", cursor.error());
        cursor_ = *cursor;
        return true;
    }

    const Selection& selection_;
    PartitionBatches batches_;
    StoredHead shown_;
    Buffer scratch_;
    std::optional<storage::RecordCursor> cursor_;
    std::optional<storage::StoredRecord> stored_;
};

}  // namespace

std::vector<StreamPosition> select_positions(LogSource& log, const Selection& selection) {
    std::vector<StreamPosition> positions;
    const auto all = log.partitions();
    for (const auto& topic : selection.topics) {
        const auto is_it = [&](const PartitionFacts& facts) {
            return facts.name.topic == topic;
        };
        if (std::ranges::none_of(all, is_it)) {
            throw Failure{exit_run_time, fmt::format("there is no topic {}", topic)};
        }
    }
    for (const auto& facts : all) {
        if (!selection.wants(facts.name.topic, facts.name.partition)) continue;
        positions.push_back(select_range(
            {.name = facts.name, .next = facts.start, .end = facts.durable},
            selection,
            [&](Timestamp time) { return log.find_timestamp(facts.name, time); }
        ));
    }
    if (positions.empty()) throw Failure{exit_run_time, "there is no such partition"};
    return positions;
}

std::unique_ptr<RecordStream> open_log_stream(
    LogSource& log,
    const Selection& selection,
    const std::string& identity,
    const std::vector<StreamPosition>& resume
) {
    const auto positions = resume.empty() ? select_positions(log, selection) : resume;
    const auto chunk_bytes = chunk_bytes_of(positions.size());
    std::vector<std::unique_ptr<Lane>> lanes;
    for (const auto& position : positions) {
        lanes.push_back(std::make_unique<LogLane>(log, selection, position, identity, chunk_bytes));
    }
    return merge_lanes(std::move(lanes));
}

}  // namespace milepost::tool
