#include "gateway/tool/failure.hpp"
#include "gateway/tool/log_source.hpp"
#include "gateway/tool/merge_stream.hpp"
#include "storage/base/units.hpp"
#include "storage/format/record_batch.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <iterator>
#include <optional>

namespace milepost::tool {

namespace {

// Read ahead, of all partitions together; a batch of the log is smaller than the least of one.
constexpr std::size_t read_ahead_bytes = 16 * mib;
constexpr std::size_t chunk_bytes_max = mib;
constexpr std::size_t chunk_bytes_min = 64 * kib;

class LogLane final : public Lane {
public:
    // `id`: `mp.id` but for the offset; empty: none is added.
    LogLane(
        LogSource& log,
        const Selection& selection,
        StreamPosition position,
        std::string id,
        std::size_t chunk_bytes
    )
        : Lane(std::move(position))
        , log_(log)
        , selection_(selection)
        , id_stem_(std::move(id))
        , fetch_(position_.next)
        , chunk_bytes_(chunk_bytes) {}

    bool advance() override {
        while (next_of_batch() || next_batch()) {
            if (!stored_) continue;
            if (stored_->offset >= position_.end) break;
            if (stored_->offset < position_.next || !selection_.wants_key(stored_->key)) continue;
            show();
            return true;
        }
        position_.next = std::max(position_.next, position_.end);
        return false;
    }

private:
    [[noreturn]] void refuse(std::string_view what, const ErrorCode& error) const {
        throw Failure{
            exit_run_time,
            fmt::format(
                "{}-{} near offset {}: {}: {}",
                position_.name.topic,
                position_.name.partition,
                fetch_.value(),
                what,
                error.message()
            )};
    }

    bool next_of_batch() {
        if (!cursor_) return false;
        const auto record = cursor_->next();
        if (!record) refuse("a record is rotten", record.error());
        stored_ = *record;
        if (!stored_) cursor_.reset();
        return stored_.has_value();
    }

    // Opens the next batch, without a head yet.
    bool next_batch() {
        stored_.reset();
        if (rest_.empty() && !fetch()) return false;
        const auto header = storage::check_batch(rest_);
        if (!header) refuse("a batch is rotten", header.error());
        auto cursor =
            storage::RecordCursor::open(rest_.first(header->total_bytes), *header, scratch_);
        if (!cursor) refuse("a batch cannot be read", cursor.error());
        cursor_ = *cursor;
        rest_ = rest_.subspan(header->total_bytes);
        return true;
    }

    bool fetch() {
        while (fetch_ < position_.end) {
            const auto chunk = log_.read(position_.name, fetch_, chunk_bytes_);
            if (chunk.durable < fetch_) {
                throw Failure{exit_run_time, "the log is another one now: its end moved back"};
            }
            if (chunk.start > fetch_) {
                fmt::print(
                    stderr,
                    "milepost: {}-{}: offsets {} to {} are not kept any more\n",
                    position_.name.topic,
                    position_.name.partition,
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

    // What is stored becomes the head.
    void show() {
        head_ = {
            .topic = position_.name.topic,
            .partition = position_.name.partition,
            .offset = stored_->offset,
            .timestamp = stored_->timestamp,
            .key = stored_->key,
            .value = stored_->value,
            .headers = {}};
        headers_.clear();
        storage::HeaderCursor cursor{*stored_};
        bool has_id = false;
        while (const auto header = cursor.next()) {
            headers_.push_back(*header);
            has_id = has_id || header->name == "mp.id";
        }
        if (!id_stem_.empty() && !has_id) {
            id_ = id_stem_;
            fmt::format_to(std::back_inserter(id_), "{}", stored_->offset.value());
            headers_.push_back({.name = "mp.id", .value = as_bytes(id_)});
        }
        head_.headers = headers_;
    }

    LogSource& log_;
    const Selection& selection_;
    std::string id_stem_;
    storage::Offset fetch_;
    std::size_t chunk_bytes_;
    Buffer bytes_;
    Buffer scratch_;
    Bytes rest_;
    std::optional<storage::RecordCursor> cursor_;
    std::optional<storage::StoredRecord> stored_;
    std::vector<storage::HeaderView> headers_;
    std::string id_;
};

std::vector<StreamPosition> select(LogSource& log, const Selection& selection) {
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

}  // namespace

std::unique_ptr<RecordStream> open_log_stream(
    LogSource& log,
    const Selection& selection,
    const std::string& identity,
    const std::vector<StreamPosition>& resume
) {
    const auto positions = resume.empty() ? select(log, selection) : resume;
    const auto chunk_bytes =
        std::clamp(read_ahead_bytes / positions.size(), chunk_bytes_min, chunk_bytes_max);
    std::vector<std::unique_ptr<Lane>> lanes;
    for (const auto& position : positions) {
        const auto& name = position.name;
        auto id = identity.empty() ? ""
                                   : fmt::format("{}/{}-{}/", identity, name.topic, name.partition);
        lanes.push_back(
            std::make_unique<LogLane>(log, selection, position, std::move(id), chunk_bytes)
        );
    }
    return merge_lanes(std::move(lanes));
}

}  // namespace milepost::tool
