#include "gateway/forward/forward_engine.hpp"

#include "storage/base/check.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

namespace milepost::forward {

namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr milliseconds producer_retry_first{100};
constexpr seconds producer_retry_most{30};
constexpr milliseconds metadata_retry_first{100};
constexpr seconds metadata_retry_most{2};
// How long a turn may be held up by asking the brokers; reports come late then, but none is lost.
constexpr seconds metadata_wait{1};
constexpr seconds create_topic_wait{5};
constexpr milliseconds created_topic_retry{200};
// A fatal producer's requests that were on the wire are worth this much: what they confirm is not
// sent twice.
constexpr seconds replace_wait{2};
constexpr seconds look_round{1};  // while something is in flight
constexpr seconds no_progress_after{30};

constexpr int level_error = 3;
constexpr int level_warning = 4;
constexpr int level_notice = 5;

}  // namespace

ForwardEngine::ForwardEngine(
    ForwardSettings settings,
    storage::Log& log,
    ForwardStats& stats,
    ProducerFactory make_producer,
    LogLine log_line
)
    : settings_(std::move(settings))
    , log_(log)
    , stats_(stats)
    , factory_(std::move(make_producer))
    , log_line_(std::move(log_line))
    , table_(settings_.gateway_id + "/" + std::string{log.log_id()} + "/", settings_.seed)
    , feeder_(log, stats, Feeder::Limits{settings_.queue_messages, settings_.queue_bytes})
    , producer_backoff_(producer_retry_first, producer_retry_most, settings_.seed)
    , metadata_backoff_(metadata_retry_first, metadata_retry_most, settings_.seed + 1) {}

std::uint64_t ForwardEngine::in_flight() const {
    std::uint64_t records = 0;
    for (const auto& topic : table_.topics()) {
        records += topic.in_flight;
    }
    return records;
}

ForwardEngine::Turn ForwardEngine::turn(Instant now, Timestamp wall) {
    now_ = now;
    wall_ = wall;
    Turn turn;
    table_.refresh(log_);
    if (!producer_) {
        if (reading_ && now_ >= producer_at_) make_producer();
        if (!producer_) {
            turn.wait = std::max(producer_at_ - now_, Duration::zero());
            return turn;
        }
    }
    open_topics();
    producer_->serve(*this);
    if (!replacing_until_) {
        if (auto reason = producer_->fatal_reason()) begin_replacing(*std::move(reason));
    }
    table_.publish(log_);
    if (replacing_until_) {
        if (replaced()) {
            turn.wait = std::max(producer_at_ - now_, Duration::zero());
        } else {
            turn.wait = std::min<Duration>(*replacing_until_ - now_, milliseconds{100});
        }
        return turn;
    }
    settle_topics();
    if (in_flight() == 0) {
        progress_at_ = now_;
        progress_wall_ = wall_;
    }
    if (reading_) {
        check_topics();
        feed(turn);
    }
    work_out_wait(turn);
    return turn;
}

void ForwardEngine::make_producer() {
    std::string problem;
    auto made = factory_(problem);
    if (!made) {
        producer_problem_ = problem.empty() ? made.error().message() : problem;
        producer_at_ = now_ + producer_backoff_.next();
        log_line_(level_error, "forward: no producer: " + producer_problem_);
        return;
    }
    producer_ = std::move(made).value();
    stats_.producers.add();
    metadata_at_ = now_;
    metadata_backoff_.reset();
}

// Topics that the log has got meanwhile, and all of them on a new producer.
void ForwardEngine::open_topics() {
    for (auto& topic : table_.topics()) {
        if (topic.id || topic.state == TopicState::waiting) continue;
        const auto opened = producer_->open_topic(topic.name);
        if (opened) {
            topic.id = opened.value();
            if (topic.state == TopicState::unchecked) metadata_at_ = now_;
        } else {
            topic.state = TopicState::waiting;
            topic.problem = opened.error().message();
            topic.problem_since = wall_;
            topic.retry_at = now_ + topic.backoff.next();
        }
    }
}

void ForwardEngine::begin_replacing(std::string reason) {
    log_line_(level_error, "forward: the producer failed, a new one takes over: " + reason);
    last_error_ = reason;
    last_error_at_ = wall_;
    producer_problem_ = std::move(reason);
    feeder_.drop();
    producer_->purge_queue();
    replacing_until_ = now_ + replace_wait;
}

// True when the fatal producer is gone.
bool ForwardEngine::replaced() {
    if (in_flight() > 0 && now_ < *replacing_until_) return false;
    producer_.reset();
    replacing_until_.reset();
    table_.forget_in_flight();
    stats_.in_flight_records.set(0);
    stats_.in_flight_bytes.set(0);
    for (auto& topic : table_.topics()) {
        if (topic.state == TopicState::draining) {
            topic.state = TopicState::waiting;
        } else if (topic.state == TopicState::forwarding) {
            topic.state = TopicState::unchecked;
        }
    }
    producer_at_ = now_ + producer_backoff_.next();
    return true;
}

void ForwardEngine::stop_topic(std::size_t index, const ErrorCode& error, std::string text) {
    auto& topic = table_.topics()[index];
    stats_.faults[static_cast<std::size_t>(upstream::fault_of(error))].add();
    if (topic.state == TopicState::draining) return;  // the first failure tells most
    topic.state = TopicState::draining;
    topic.retry_at = now_ + topic.backoff.next();
    if (topic.problem.empty()) {
        topic.problem_since = wall_;
        log_line_(level_warning, "forward: topic " + topic.name + " waits: " + text);
    }
    topic.problem = std::move(text);
    topic.problem_with_records = true;
    feeder_.drop();
}

void ForwardEngine::clear_problem(ForwardTopic& topic) {
    if (!topic.problem.empty()) {
        log_line_(level_notice, "forward: topic " + topic.name + " goes on");
    }
    topic.problem.clear();
    topic.problem_with_records = false;
    topic.backoff.reset();
}

void ForwardEngine::settle_topics() {
    auto& topics = table_.topics();
    for (std::size_t i = 0; i < topics.size(); ++i) {
        if (topics[i].state != TopicState::draining || topics[i].in_flight > 0) continue;
        table_.rewind(i);
        topics[i].state = TopicState::waiting;
    }
}

bool ForwardEngine::topics_to_check() const {
    const auto& topics = table_.topics();
    return std::any_of(topics.begin(), topics.end(), [&](const ForwardTopic& topic) {
        return topic.state == TopicState::unchecked ||
               (topic.state == TopicState::waiting && topic.retry_at <= now_);
    });
}

void ForwardEngine::check_topics() {
    if (now_ < metadata_at_ || !topics_to_check()) return;
    for (auto& topic : table_.topics()) {
        if (topic.state != TopicState::waiting || topic.retry_at > now_ || topic.id) continue;
        if (const auto opened = producer_->open_topic(topic.name)) topic.id = opened.value();
    }
    const auto answer = producer_->metadata(metadata_wait);
    if (!answer) {
        stats_.faults[static_cast<std::size_t>(upstream::fault_of(answer.error()))].add();
        metadata_at_ = now_ + metadata_backoff_.next();
        return;
    }
    metadata_backoff_.reset();
    for (auto& topic : table_.topics()) {
        if (!topic.id || topic.id->value() >= answer->size()) continue;
        if (topic.state == TopicState::unchecked ||
            (topic.state == TopicState::waiting && topic.retry_at <= now_)) {
            check_topic(topic, (*answer)[topic.id->value()]);
        }
    }
}

void ForwardEngine::check_topic(ForwardTopic& topic, const upstream::TopicMetadata& metadata) {
    if (!metadata.error && metadata.partitions > 0) {
        topic.state = TopicState::forwarding;
        topic.upstream_partitions = metadata.partitions;
        // That a record was refused is over when one is confirmed.
        if (!topic.problem_with_records) clear_problem(topic);
        return;
    }
    if (upstream::fault_of(metadata.error) == upstream::Fault::transient) {
        // Being made, or without a leader: soon again, and no alarm.
        topic.state = TopicState::waiting;
        topic.retry_at = now_ + created_topic_retry;
        return;
    }
    std::string text = "the upstream says: " + metadata.error.message();
    if (settings_.create_topics && upstream::is_topic_missing(metadata.error)) {
        const auto created =
            producer_->create_topic(topic.name, topic.partitions, create_topic_wait);
        if (created) {
            log_line_(level_notice, "forward: topic " + topic.name + " was created");
            topic.state = TopicState::waiting;
            topic.retry_at = now_ + created_topic_retry;
            return;
        }
        text = "it cannot be created: " + created.error().message();
    }
    stop_topic(
        static_cast<std::size_t>(&topic - table_.topics().data()),
        metadata.error,
        std::move(text)
    );
    topic.state = TopicState::waiting;  // nothing is in flight
    topic.problem_with_records = false;
}

void ForwardEngine::feed(Turn& turn) {
    auto outcome = feeder_.feed(table_, *producer_, wall_);
    turn.sent = outcome.records;
    turn.caught_up = !outcome.more && !outcome.queue_full && !feeder_.has_more(table_);
    if (outcome.more) turn.wait = Duration::zero();
    if (outcome.trouble) {
        stop_topic(outcome.trouble->topic, outcome.trouble->error, outcome.trouble->text);
        turn.wait = Duration::zero();
    }
}

void ForwardEngine::work_out_wait(Turn& turn) const {
    const auto at_most = [&](Duration wait) {
        const Duration some = std::max(wait, Duration::zero());
        turn.wait = turn.wait ? std::min(*turn.wait, some) : some;
    };
    if (in_flight() > 0) at_most(look_round);
    if (!reading_) return;
    for (const auto& topic : table_.topics()) {
        if (topic.state == TopicState::unchecked) at_most(metadata_at_ - now_);
        if (topic.state == TopicState::waiting) {
            at_most(std::max(topic.retry_at, metadata_at_) - now_);
        }
    }
}

void ForwardEngine::on_reports(std::span<const upstream::DeliveryReport> reports) {
    std::uint64_t confirmed = 0;
    std::uint64_t confirmed_bytes = 0;
    std::int64_t bytes = 0;
    for (const auto& report : reports) {
        auto& partition = table_[partition_of(report.tag)];
        auto& topic = table_.topic_of(partition);
        auto& window = partition.window;
        const Offset offset = offset_of(report.tag, window.confirmed());
        --topic.in_flight;
        partition.bytes_in_flight -= report.bytes;
        bytes += static_cast<std::int64_t>(report.bytes);
        if (report.fault == upstream::Fault::none) {
            window.confirm(offset);
            ++confirmed;
            confirmed_bytes += report.bytes;
            if (topic.problem_with_records && topic.state == TopicState::forwarding) {
                clear_problem(topic);
            }
            continue;
        }
        window.fail(offset);
        on_failed(partition, offset, report);
    }
    stats_.in_flight_records.add(-static_cast<std::int64_t>(reports.size()));
    stats_.in_flight_bytes.add(-bytes);
    if (confirmed == 0) return;
    stats_.records.add(confirmed);
    stats_.bytes.add(confirmed_bytes);
    progress_at_ = now_;
    progress_wall_ = wall_;
    if (!replacing_until_) {
        producer_problem_.clear();
        producer_backoff_.reset();
    }
    if (stats_.brokers_connected.value() == 0) stats_.brokers_connected.set(1);
}

void ForwardEngine::on_failed(
    const ForwardPartition& partition,
    Offset offset,
    const upstream::DeliveryReport& report
) {
    auto& topic = table_.topic_of(partition);
    if (report.fault == upstream::Fault::topic || report.fault == upstream::Fault::record) {
        const auto error = upstream::upstream_error(report.code);
        stop_topic(
            partition.topic,
            error,
            partition.name.topic + "-" + std::to_string(partition.name.partition) + " offset " +
                std::to_string(offset.value()) + ": " + error.message()
        );
        return;
    }
    // It fell with the producer, not by a fault of its own: sent again, without an alarm.
    stats_.faults[static_cast<std::size_t>(report.fault)].add();
    if (topic.state == TopicState::draining) return;
    topic.state = TopicState::draining;
    topic.retry_at = now_;
    feeder_.drop();
}

void ForwardEngine::on_error(const ErrorCode& error, std::string_view text) {
    stats_.faults[static_cast<std::size_t>(upstream::fault_of(error))].add();
    if (text.empty()) return;
    last_error_ = text;
    last_error_at_ = wall_;
    log_line_(level_warning, "upstream: " + std::string{text});
}

void ForwardEngine::on_brokers(std::uint32_t connected) {
    stats_.brokers_connected.set(connected);
}

void ForwardEngine::on_log(int level, std::string_view text) {
    log_line_(level, "librdkafka: " + std::string{text});
}

bool ForwardEngine::has_backlog(const ForwardTopic& topic) const {
    const auto ids = log_.partitions();
    return std::any_of(ids.begin(), ids.end(), [&](storage::PartitionId id) {
        if (log_.name(id).topic != topic.name) return false;
        const auto positions = log_.positions(id);
        return positions.forwarded < positions.durable;
    });
}

ForwardStatus ForwardEngine::status(Instant now, Timestamp wall) const {
    ForwardStatus status;
    status.brokers_connected = static_cast<std::uint32_t>(stats_.brokers_connected.value());
    status.in_flight_records = in_flight();
    status.last_error = last_error_;
    status.last_error_at = last_error_at_;
    if (!producer_problem_.empty()) status.degraded.push_back("producer: " + producer_problem_);
    if (status.brokers_connected == 0) status.degraded.push_back("no broker is connected");
    for (const auto& topic : table_.topics()) {
        status.topics.push_back(TopicStatus{
            .topic = topic.name,
            .state = topic.state,
            .upstream_partitions = topic.upstream_partitions,
            .problem = topic.problem,
            .problem_since = topic.problem.empty() ? timestamp_none : topic.problem_since,
        });
        if (!topic.problem.empty() && has_backlog(topic)) {
            status.degraded.push_back("topic " + topic.name + ": " + topic.problem);
        }
    }
    if (status.in_flight_records > 0 && now - progress_at_ >= no_progress_after) {
        status.no_progress_since = progress_wall_;
        const auto waited_seconds = (wall - progress_wall_) / 1000;
        status.degraded.push_back(
            "nothing was confirmed for " + std::to_string(waited_seconds) + " s"
        );
    }
    return status;
}

}  // namespace milepost::forward
