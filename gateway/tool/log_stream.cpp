#include "gateway/tool/failure.hpp"
#include "gateway/tool/record_stream.hpp"
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

// One partition, at the record that is its next.
class Lane {
public:
    Lane(StreamPosition position, std::size_t chunk_bytes)
        : position_(std::move(position))
        , fetch_(position_.next)
        , chunk_bytes_(chunk_bytes) {}

    [[nodiscard]] const StreamPosition& position() const { return position_; }

    [[nodiscard]] const storage::StoredRecord& head() const { return *head_; }

    // The head is dealt with.
    void pass() { position_.next = head_->offset + 1; }

    // To the next selected record; false: there is none.
    bool advance(LogSource& log, const Selection& selection) {
        while (next_of_batch() || next_batch(log)) {
            if (!head_) continue;
            if (head_->offset >= position_.end) break;
            if (head_->offset >= position_.next && selection.wants_key(head_->key)) return true;
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
        head_ = *record;
        if (!head_) cursor_.reset();
        return head_.has_value();
    }

    // Opens the next batch, without a head yet.
    bool next_batch(LogSource& log) {
        head_.reset();
        if (rest_.empty() && !fetch(log)) return false;
        const auto header = storage::check_batch(rest_);
        if (!header) refuse("a batch is rotten", header.error());
        auto cursor =
            storage::RecordCursor::open(rest_.first(header->total_bytes), *header, scratch_);
        if (!cursor) refuse("a batch cannot be read", cursor.error());
        cursor_ = *cursor;
        rest_ = rest_.subspan(header->total_bytes);
        return true;
    }

    bool fetch(LogSource& log) {
        while (fetch_ < position_.end) {
            const auto chunk = log.read(position_.name, fetch_, chunk_bytes_);
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

    StreamPosition position_;
    storage::Offset fetch_;
    std::size_t chunk_bytes_;
    Buffer bytes_;
    Buffer scratch_;
    Bytes rest_;
    std::optional<storage::RecordCursor> cursor_;
    std::optional<storage::StoredRecord> head_;
};

StreamPosition select(const PartitionFacts& facts, const Selection& selection, LogSource& log) {
    StreamPosition position{.name = facts.name, .next = facts.start, .end = facts.durable};
    const auto not_before = [&](storage::Offset offset) {
        position.next = std::max(position.next, offset);
    };
    const auto not_behind = [&](storage::Offset offset) {
        position.end = std::min(position.end, offset);
    };
    if (selection.offsets.first) not_before(storage::Offset{*selection.offsets.first});
    if (selection.offsets.end) not_behind(storage::Offset{*selection.offsets.end});
    if (selection.since) not_before(log.find_timestamp(facts.name, *selection.since));
    if (selection.until) not_behind(log.find_timestamp(facts.name, *selection.until));
    position.next = std::min(position.next, position.end);
    return position;
}

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
        positions.push_back(select(facts, selection, log));
    }
    if (positions.empty()) throw Failure{exit_run_time, "there is no such partition"};
    return positions;
}

class LogStream final : public RecordStream {
public:
    LogStream(
        LogSource& log,
        const Selection& selection,
        const std::string& identity,
        const std::vector<StreamPosition>& resume
    )
        : log_(log)
        , selection_(selection) {
        const auto positions = resume.empty() ? select(log, selection) : resume;
        const auto chunk_bytes =
            std::clamp(read_ahead_bytes / positions.size(), chunk_bytes_min, chunk_bytes_max);
        for (const auto& position : positions) {
            lanes_.emplace_back(position, chunk_bytes);
            ids_.push_back(
                identity.empty() ? ""
                                 : fmt::format(
                                       "{}/{}-{}/",
                                       identity,
                                       position.name.topic,
                                       position.name.partition
                                   )
            );
            all_ += static_cast<std::uint64_t>(position.end - position.next);
        }
    }

    const ReplayRecord* next() override {
        if (!is_begun_) {
            is_begun_ = true;
            for (std::size_t i = 0; i < lanes_.size(); ++i)
                push(i);
        } else if (!heads_.empty()) {
            const auto last = heads_.front().lane;
            std::ranges::pop_heap(heads_, later);
            heads_.pop_back();
            push(last);
        }
        if (heads_.empty()) return nullptr;
        give(heads_.front().lane);
        return &record_;
    }

    void pass() override { lanes_[heads_.front().lane].pass(); }

    [[nodiscard]] std::vector<StreamPosition> positions() const override {
        std::vector<StreamPosition> all;
        for (const auto& lane : lanes_)
            all.push_back(lane.position());
        return all;
    }

    [[nodiscard]] StreamProgress progress() const override {
        std::uint64_t left = 0;
        for (const auto& lane : lanes_)
            left += static_cast<std::uint64_t>(lane.position().end - lane.position().next);
        return {.done = all_ - std::min(left, all_), .all = all_};
    }

private:
    struct Head {
        Timestamp timestamp;
        std::size_t lane = 0;
    };

    static bool later(const Head& left, const Head& right) {
        return std::tie(left.timestamp, left.lane) > std::tie(right.timestamp, right.lane);
    }

    void push(std::size_t lane) {
        if (!lanes_[lane].advance(log_, selection_)) return;
        heads_.push_back({.timestamp = lanes_[lane].head().timestamp, .lane = lane});
        std::ranges::push_heap(heads_, later);
    }

    void give(std::size_t number) {
        auto& lane = lanes_[number];
        const auto& head = lane.head();
        record_ = {
            .topic = lane.position().name.topic,
            .partition = lane.position().name.partition,
            .offset = head.offset,
            .timestamp = head.timestamp,
            .key = head.key,
            .value = head.value,
            .headers = {}};
        headers_.clear();
        storage::HeaderCursor cursor{head};
        bool has_id = false;
        while (const auto header = cursor.next()) {
            headers_.push_back(*header);
            has_id = has_id || header->name == "mp.id";
        }
        if (!ids_[number].empty() && !has_id) {
            id_ = ids_[number];
            fmt::format_to(std::back_inserter(id_), "{}", head.offset.value());
            headers_.push_back({.name = "mp.id", .value = as_bytes(id_)});
        }
        record_.headers = headers_;
    }

    LogSource& log_;
    const Selection& selection_;
    std::vector<Lane> lanes_;
    std::vector<std::string> ids_;  // `mp.id` but for the offset
    std::vector<Head> heads_;       // a heap; the front one was given
    bool is_begun_ = false;
    std::uint64_t all_ = 0;
    ReplayRecord record_;
    std::vector<storage::HeaderView> headers_;
    std::string id_;
};

}  // namespace

std::unique_ptr<RecordStream> open_log_stream(
    LogSource& log,
    const Selection& selection,
    const std::string& identity,
    const std::vector<StreamPosition>& resume
) {
    return std::make_unique<LogStream>(log, selection, identity, resume);
}

}  // namespace milepost::tool
