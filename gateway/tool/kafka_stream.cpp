#include "gateway/tool/kafka_stream.hpp"

#include "gateway/tool/failure.hpp"
#include "gateway/tool/merge_stream.hpp"
#include "gateway/tool/stop_signal.hpp"
#include "gateway/upstream/errc.hpp"
#include "storage/base/units.hpp"

#include <fmt/format.h>

#include <chrono>
#include <span>
#include <utility>

namespace milepost::tool {

namespace {

// Of each partition.
constexpr std::size_t read_ahead_bytes = 512 * kib;
// Without a record, or the news that there is none.
constexpr Duration silence_max = std::chrono::seconds{60};
constexpr std::int32_t partitions_max = 10'000;

[[noreturn]] void refuse(const storage::TopicPartition& name, const ErrorCode& error) {
    throw Failure{
        exit_unavailable,
        fmt::format("Kafka: {}-{}: {}", name.topic, name.partition, error.message())};
}

class KafkaLane final : public Lane {
public:
    KafkaLane(
        std::unique_ptr<upstream::PartitionReader> reader,
        const Selection& selection,
        StreamPosition position
    )
        : Lane(std::move(position))
        , reader_(std::move(reader))
        , selection_(selection) {}

    bool advance() override {
        while (reader_ && (!records_.empty() || fetch())) {
            const auto& record = records_.front();
            records_ = records_.subspan(1);
            if (record.offset >= position_.end.value()) break;
            if (!selection_.wants_key(record.key) || !selection_.wants_time(record.timestamp))
                continue;
            head_ = {
                .topic = position_.name.topic,
                .partition = position_.name.partition,
                .offset = storage::Offset{record.offset},
                .timestamp = record.timestamp,
                .key = record.key,
                .value = record.value,
                .headers = record.headers};
            return true;
        }
        position_.next = std::max(position_.next, position_.end);
        reader_.reset();  // nothing more is fetched
        return false;
    }

private:
    // False: at the end.
    bool fetch() {
        const Instant give_up = monotonic_now() + silence_max;
        while (reader_->position() < position_.end.value()) {
            const auto read = reader_->read(wait_slice);
            if (!read) refuse(position_.name, read.error());
            records_ = *read;
            if (!records_.empty()) return true;
            if (is_stop_asked()) throw Failure{exit_run_time, "stopped; the same command goes on"};
            if (monotonic_now() >= give_up) {
                throw Failure{
                    exit_unavailable,
                    fmt::format(
                        "Kafka: {}-{}: nothing came for 60 s",
                        position_.name.topic,
                        position_.name.partition
                    )};
            }
        }
        return false;
    }

    std::unique_ptr<upstream::PartitionReader> reader_;
    const Selection& selection_;
    std::span<const upstream::ConsumedRecord> records_;
};

StreamPosition select(
    upstream::TopicReader& reader,
    const storage::TopicPartition& name,
    const Selection& selection
) {
    const auto ends = reader.ends(name.topic, name.partition);
    if (!ends) refuse(name, ends.error());
    const StreamPosition whole{
        .name = name,
        .next = storage::Offset{ends->start},
        .end = storage::Offset{ends->end}};
    // The broker finds the first record that is not older among aborted ones, too, which may be
    // much newer than those behind it: fine for a beginning, where each record is looked at as
    // well, but an end would come too early.
    auto without_end = selection;
    without_end.until.reset();
    return select_range(whole, without_end, [&](Timestamp time) {
        const auto found = reader.find_timestamp(name.topic, name.partition, time);
        if (!found) refuse(name, found.error());
        return *found ? storage::Offset{**found} : whole.end;
    });
}

std::vector<StreamPosition> select(upstream::TopicReader& reader, const Selection& selection) {
    std::vector<StreamPosition> positions;
    for (const auto& topic : selection.topics) {
        const auto count = reader.partitions(topic);
        if (!count) {
            const bool is_missing = upstream::fault_of(count.error()) == upstream::Fault::topic;
            throw Failure{
                is_missing ? exit_run_time : exit_unavailable,
                fmt::format("Kafka: topic {}: {}", topic, count.error().message())};
        }
        if (*count > partitions_max) {
            throw Failure{exit_run_time, fmt::format("over {} partitions", partitions_max)};
        }
        for (std::int32_t number = 0; number < *count; ++number) {
            if (!selection.wants(topic, number)) continue;
            positions.push_back(select(reader, {topic, number}, selection));
        }
    }
    if (positions.empty()) throw Failure{exit_run_time, "there is no such partition"};
    return positions;
}

// Where a replay goes on, everything has to be there still: the count of records is a place.
void check_kept(upstream::TopicReader& reader, const StreamPosition& position) {
    const auto ends = reader.ends(position.name.topic, position.name.partition);
    if (!ends) refuse(position.name, ends.error());
    if (position.next == position.end || position.next.value() >= ends->start) return;
    throw Failure{
        exit_run_time,
        fmt::format(
            "Kafka: {}-{}: offsets {} to {} are not kept any more",
            position.name.topic,
            position.name.partition,
            position.next.value(),
            ends->start - 1
        )};
}

}  // namespace

std::unique_ptr<upstream::TopicReader> open_kafka(
    const std::string& brokers,
    const upstream::Properties& properties
) {
    std::string problem;
    auto made = upstream::make_rdkafka_topic_reader(
        {.bootstrap_servers = brokers, .client_id = "milepost-replay", .properties = properties},
        read_ahead_bytes,
        problem
    );
    if (!made) throw Failure{exit_usage, problem.empty() ? made.error().message() : problem};
    return std::move(*made);
}

std::unique_ptr<RecordStream> open_kafka_stream(
    upstream::TopicReader& reader,
    const Selection& selection,
    const std::vector<StreamPosition>& resume
) {
    for (const auto& position : resume)
        check_kept(reader, position);
    const auto positions = resume.empty() ? select(reader, selection) : resume;
    std::vector<std::unique_ptr<Lane>> lanes;
    for (const auto& position : positions) {
        std::unique_ptr<upstream::PartitionReader> partition;
        const auto& name = position.name;
        if (position.next < position.end) {
            auto started = reader.start(name.topic, name.partition, position.next.value());
            if (!started) refuse(name, started.error());
            partition = std::move(*started);
        }
        lanes.push_back(std::make_unique<KafkaLane>(std::move(partition), selection, position));
    }
    return merge_lanes(std::move(lanes));
}

}  // namespace milepost::tool
