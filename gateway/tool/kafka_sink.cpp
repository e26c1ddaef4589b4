#include "gateway/tool/kafka_sink.hpp"

#include "gateway/tool/failure.hpp"
#include "gateway/tool/held_blocks.hpp"
#include "gateway/tool/record_block.hpp"
#include "gateway/tool/stop_signal.hpp"
#include "gateway/upstream/rdkafka_producer.hpp"
#include "gateway/upstream/waker.hpp"
#include "storage/base/units.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <string>

namespace milepost::tool {

namespace {

using upstream::GroupPosition;
using upstream::Step;
using upstream::StepResult;

// Of one transaction: what a kill makes the brokers throw away, and far below their limit. At its
// end both sides wait for each other, which costs at full speed; who waits for the time that
// records are due at loses nothing, and what was sent is to be seen soon.
constexpr Duration transaction_full_speed = std::chrono::seconds{5};
constexpr Duration transaction_paced = std::chrono::seconds{1};
constexpr Duration metadata_wait = std::chrono::seconds{10};
constexpr Duration step_wait_max = std::chrono::seconds{60};
constexpr Duration retry_pause = std::chrono::milliseconds{200};

// Nobody waits for a single record, and a commit sends what is there at once: batches fill, but not
// to more than the processor's caches hold while they are compressed. What the user sets comes
// behind it.
const upstream::Properties batches = {{"linger.ms", "50"}, {"batch.size", "300000"}};

// On their way at a time: more are no faster, and each needs memory.
constexpr std::size_t records_sent_max = 50'000;
// So much may wait for the report of a few slow records; what comes behind it is copied.
constexpr std::size_t blocks_held_max = 16 * mib / record_block_bytes;
constexpr std::uint64_t tag_of_copied = 0;

struct Topic {
    upstream::TopicId id;
    std::int32_t partitions = 0;
};

// Every record is in a transaction that also carries how many there are by then, as the position of
// a group that is named after this replay.
class KafkaSink final : public ReplaySink, private upstream::ProducerListener {
public:
    KafkaSink(const KafkaSinkOptions& options, const std::string& job, std::uint64_t count)
        : mark_("milepost-replay/1 job=" + job)
        , count_(count) {
        const auto name = "milepost-replay-" + job;
        auto properties = batches;
        properties.insert(properties.end(), options.properties.begin(), options.properties.end());
        const upstream::ProducerSettings settings{
            .client =
                {.bootstrap_servers = options.brokers,
                 .client_id = "milepost-replay",
                 .properties = std::move(properties)},
            .transactional_id = name,
            .group_id = name,
            .queue_messages = records_sent_max,
            .header_lists_kept = records_sent_max,
            .kept = held_};
        std::string problem;
        auto made = upstream::make_rdkafka_transactional(settings, waker_, problem);
        if (!made) throw Failure{exit_usage, problem.empty() ? made.error().message() : problem};
        client_ = std::move(*made);
        run(Step::init, {});
    }

    ~KafkaSink() override {
        client_.transactions.reset();
        client_.producer.reset();
    }

    // The position is kept under the first topic that the replay writes to.
    void find_position(const std::string& topic) {
        open(topic);
        position_topic_ = topic;
        const auto read = run(Step::read_positions, {GroupPosition{.topic = topic}});
        if (read.empty() || read.front().offset < 0) return;
        if (read.front().metadata != mark_) {
            throw Failure{
                exit_run_time,
                "the replay's position upstream was set by something else"};
        }
        count_ = std::max(count_, static_cast<std::uint64_t>(read.front().offset));
    }

    [[nodiscard]] std::uint64_t taken_before() const override { return count_; }

    void put(const ReplayRecord& record) override {
        const auto& topic = open(record.topic);
        // There is none of this job's yet. But to ask for it has the broker make the topic of the
        // positions, if it is new, and choose a coordinator.
        if (position_topic_.empty()) find_position(std::string{record.topic});
        if (!is_open_) begin();
        const bool is_held = record.owner != nullptr && record.value &&
                             held_->count() < blocks_held_max;
        const upstream::OutgoingRecord outgoing{
            .topic = topic.id,
            .partition = partition_of(record, topic.partitions),
            .timestamp = record.timestamp,
            .key = record.key,
            .value = record.value,
            .headers = record.headers,
            .tag = is_held ? held_->hold(*record.owner) : tag_of_copied,
            .is_value_kept = is_held};
        while (const auto error = client_.producer->produce(outgoing)) {
            if (upstream::fault_of(error) != upstream::Fault::queue_full) {
                throw Failure{
                    exit_run_time,
                    fmt::format(
                        "{}-{} at offset {}: {}",
                        record.topic,
                        record.partition,
                        record.offset.value(),
                        error.message()
                    )};
            }
            waker_.wait(wait_slice);
            serve();
            commit_if_old(transaction_full_speed);
            if (!is_open_) begin();
        }
        ++count_;
        constexpr std::uint64_t records_per_look = 256;
        if (count_ % records_per_look != 0) return;
        serve();
        commit_if_old(transaction_full_speed);
    }

    void wait_until(Instant due) override {
        while (monotonic_now() < due) {
            const auto left = due - monotonic_now();
            waker_.wait(std::clamp<Duration>(left, Duration{0}, wait_slice));
            serve();
            commit_if_old(transaction_paced);
        }
    }

    std::uint64_t settle() override {
        if (is_open_) commit();
        return 0;
    }

private:
    const Topic& open(std::string_view name) {
        const auto found = topics_.find(name);
        if (found != topics_.end()) return found->second;
        const auto id = client_.producer->open_topic(name);
        if (!id) throw Failure{exit_run_time, fmt::format("{}: {}", name, id.error().message())};
        const auto answer = client_.producer->metadata(metadata_wait);
        if (!answer) throw Failure{exit_unavailable, "Kafka: " + answer.error().message()};
        const auto& metadata = (*answer)[id->value()];
        if (metadata.error || metadata.partitions == 0) {
            throw Failure{
                exit_run_time,
                fmt::format("topic {}: {}", name, metadata.error.message())};
        }
        return topics_.emplace(std::string{name}, Topic{*id, metadata.partitions}).first->second;
    }

    static std::int32_t partition_of(const ReplayRecord& record, std::int32_t partitions) {
        if (record.partition < partitions) return record.partition;
        if (!record.key) return record.partition % partitions;
        return upstream::murmur2_partition(*record.key, partitions);
    }

    void begin() {
        if (const auto error = client_.transactions->begin()) {
            throw Failure{exit_run_time, "Kafka: " + error.message()};
        }
        is_open_ = true;
        begun_ = monotonic_now();
    }

    void commit_if_old(Duration age) {
        if (is_open_ && monotonic_now() - begun_ >= age) commit();
    }

    void commit() {
        run(Step::send_positions,
            {GroupPosition{
                .topic = position_topic_,
                .partition = 0,
                .offset = static_cast<std::int64_t>(count_),
                .metadata = mark_}});
        run(Step::commit, {});
        is_open_ = false;
    }

    std::vector<GroupPosition> run(Step step, std::vector<GroupPosition> positions) {
        const Instant end = monotonic_now() + step_wait_max;
        while (true) {
            client_.transactions->start(step, positions);
            std::optional<upstream::StepDone> done;
            while (!(done = client_.transactions->take_done())) {
                waker_.wait(wait_slice);
                serve();
                if (monotonic_now() >= end) give_up(step);
            }
            if (done->result == StepResult::done) return std::move(done->positions);
            const bool is_again = done->result == StepResult::again && monotonic_now() < end;
            if (!is_again) {
                throw Failure{
                    exit_unavailable,
                    fmt::format(
                        "Kafka: {}: {}",
                        upstream::step_name(step),
                        problem_.empty() ? done->text : problem_
                    )};
            }
            waker_.wait(retry_pause);
            serve();
        }
    }

    // librdkafka 2.0.2 has been seen to wait for ever in send_offsets_to_transaction, whatever
    // limit it was given. What the transaction held is sent again by the replay that goes on.
    [[noreturn]] void give_up(Step step) const {
        throw Failure{
            exit_unavailable,
            fmt::format(
                "Kafka: {}: no answer for {} s; the same command goes on, with --resume",
                upstream::step_name(step),
                std::chrono::duration_cast<std::chrono::seconds>(step_wait_max).count()
            )};
    }

    void serve() { client_.producer->serve(*this); }

    void on_reports(std::span<const upstream::DeliveryReport> reports) override {
        for (const auto& report : reports) {
            if (report.tag != tag_of_copied) held_->release(report.tag);
            if (report.fault != upstream::Fault::none && problem_.empty()) {
                problem_ = upstream::upstream_error(report.code).message();
            }
        }
    }

    void on_error(const ErrorCode& error, std::string_view text) override {
        (void)error;
        if (!text.empty()) fmt::print(stderr, "milepost: Kafka: {}\n", text);
    }

    void on_brokers(std::uint32_t connected) override { (void)connected; }

    void on_log(int level, std::string_view text) override {
        (void)level;
        (void)text;
    }

    const std::shared_ptr<HeldBlocks> held_ = std::make_shared<HeldBlocks>();  // the client's, too
    upstream::Waker waker_;  // outlives the client
    upstream::TransactionalClient client_;
    std::string mark_;
    std::uint64_t count_;
    std::string position_topic_;
    std::map<std::string, Topic, std::less<>> topics_;
    bool is_open_ = false;
    Instant begun_;
    std::string problem_;
};

}  // namespace

std::unique_ptr<ReplaySink> open_kafka_sink(
    const KafkaSinkOptions& options,
    const std::string& job,
    std::uint64_t count,
    const std::string& position_topic
) {
    auto sink = std::make_unique<KafkaSink>(options, job, count);
    if (!position_topic.empty()) sink->find_position(position_topic);
    return sink;
}

}  // namespace milepost::tool
