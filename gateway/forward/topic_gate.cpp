#include "gateway/forward/topic_gate.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

namespace milepost::forward {

namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// How long a turn may be held up by asking the brokers; reports come late then, but none is lost.
constexpr seconds metadata_wait{1};
// Counted from before the asking, which waits for a broker and takes one that comes at once: so
// while there is none, somebody asks all the time.
constexpr milliseconds metadata_retry_first{100};
constexpr seconds metadata_retry_most = metadata_wait;
// One topic a turn, on top of that.
constexpr seconds create_topic_wait{1};
constexpr milliseconds created_topic_retry{200};

// Whether something of the topic waits: a topic that nobody publishes to may be missing upstream
// without forwarding being the worse for it.
bool has_backlog(const ForwardTopic& topic, const storage::Log& log) {
    const auto ids = log.partitions();
    return std::any_of(ids.begin(), ids.end(), [&](storage::PartitionId id) {
        if (log.name(id).topic != topic.name) return false;
        const auto positions = log.positions(id);
        return positions.forwarded < positions.durable;
    });
}

}  // namespace

TopicGate::TopicGate(Rules rules, ForwardTable& table, ForwardStats& stats, LogLine log_line)
    : rules_(rules)
    , table_(table)
    , stats_(stats)
    , log_line_(std::move(log_line))
    , metadata_backoff_(metadata_retry_first, metadata_retry_most, table.seed() + 1) {}

void TopicGate::producer_made() {
    metadata_at_ = now_;
    metadata_backoff_.reset();
}

void TopicGate::producer_lost() {
    for (auto& topic : table_.topics()) {
        if (topic.state == TopicState::draining) {
            topic.state = TopicState::waiting;
        } else if (topic.state == TopicState::forwarding) {
            topic.state = TopicState::unchecked;
        }
    }
}

void TopicGate::open_topics(upstream::Producer& producer) {
    for (auto& topic : table_.topics()) {
        if (topic.id || topic.state == TopicState::waiting) continue;
        if (topic.state == TopicState::local) continue;
        const auto opened = producer.open_topic(topic.name);
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

void TopicGate::check_topics(upstream::Producer& producer) {
    const auto& topics = table_.topics();
    if (now_ < metadata_at_) return;
    if (std::none_of(topics.begin(), topics.end(), [&](const ForwardTopic& topic) {
            return is_due(topic);
        })) {
        return;
    }
    for (auto& topic : table_.topics()) {
        if (topic.state != TopicState::waiting || topic.retry_at > now_ || topic.id) continue;
        if (const auto opened = producer.open_topic(topic.name)) topic.id = opened.value();
    }
    const auto answer = producer.metadata(metadata_wait);
    if (!answer) {
        stats_.faults[static_cast<std::size_t>(upstream::fault_of(answer.error()))].add();
        metadata_at_ = now_ + metadata_backoff_.next();
        return;
    }
    metadata_backoff_.reset();
    has_created_ = false;
    for (std::size_t i = 0; i < topics.size(); ++i) {
        if (!topics[i].id || topics[i].id->value() >= answer->size() || !is_due(topics[i])) {
            continue;
        }
        check(i, (*answer)[topics[i].id->value()], producer);
    }
}

void TopicGate::check(
    std::size_t index,
    const upstream::TopicMetadata& metadata,
    upstream::Producer& producer
) {
    auto& topic = table_.topics()[index];
    std::string text;
    if (!metadata.error && metadata.partitions > 0) {
        topic.upstream_partitions = metadata.partitions;
        if (!rules_.needs_all_partitions || metadata.partitions >= topic.partitions) {
            topic.state = TopicState::forwarding;
            // That a record was refused is over when one is confirmed.
            if (!topic.problem_with_records) clear(topic);
            return;
        }
        text = "it has " + std::to_string(metadata.partitions) + " partitions upstream and " +
               std::to_string(topic.partitions) +
               " here: exactly_once needs as many there (add them upstream)";
    } else if (upstream::is_topic_missing(metadata.error) && rules_.create_topics && has_created_) {
        // At the next turn.
        topic.state = TopicState::waiting;
        topic.retry_at = now_;
        return;
    } else if (upstream::fault_of(metadata.error) == upstream::Fault::transient ||
               (upstream::is_topic_missing(metadata.error) && create(topic, producer, text))) {
        // Being made, or without a leader: soon again, and no alarm.
        topic.state = TopicState::waiting;
        topic.retry_at = now_ + created_topic_retry;
        return;
    } else if (text.empty()) {
        text = "the upstream says: " + metadata.error.message();
    }
    stop(index, metadata.error, std::move(text));
    topic.state = TopicState::waiting;  // nothing is in flight
    topic.problem_with_records = false;
}

bool TopicGate::create(ForwardTopic& topic, upstream::Producer& producer, std::string& text) {
    if (!rules_.create_topics) return false;
    has_created_ = true;
    const auto created = producer.create_topic(topic.name, topic.partitions, create_topic_wait);
    if (created) {
        log_line_(level_notice, "forward: topic " + topic.name + " was created");
        return true;
    }
    text = "it cannot be created: " + created.error().message();
    return false;
}

void TopicGate::stop(std::size_t index, const ErrorCode& error, std::string text) {
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
}

void TopicGate::retry_at_once(ForwardTopic& topic, upstream::Fault fault) {
    stats_.faults[static_cast<std::size_t>(fault)].add();
    if (topic.state == TopicState::draining) return;
    topic.state = TopicState::draining;
    topic.retry_at = now_;
}

void TopicGate::clear(ForwardTopic& topic) {
    if (!topic.problem.empty()) {
        log_line_(level_notice, "forward: topic " + topic.name + " goes on");
    }
    topic.problem.clear();
    topic.problem_with_records = false;
    topic.backoff.reset();
}

void TopicGate::settle() {
    auto& topics = table_.topics();
    for (std::size_t i = 0; i < topics.size(); ++i) {
        if (topics[i].state != TopicState::draining || topics[i].in_flight > 0) continue;
        table_.rewind(i);
        topics[i].state = TopicState::waiting;
    }
}

std::optional<Duration> TopicGate::wait() const {
    std::optional<Duration> wait;
    for (const auto& topic : table_.topics()) {
        Instant at = metadata_at_;
        if (topic.state == TopicState::waiting) {
            at = std::max(at, topic.retry_at);
        } else if (topic.state != TopicState::unchecked) {
            continue;
        }
        const Duration left = std::max(at - now_, Duration::zero());
        wait = wait ? std::min(*wait, left) : left;
    }
    return wait;
}

void TopicGate::describe(ForwardStatus& status, const storage::Log& log) const {
    for (const auto& topic : table_.topics()) {
        if (topic.state == TopicState::local) continue;
        status.topics.push_back(TopicStatus{
            .topic = topic.name,
            .state = topic.state,
            .upstream_partitions = topic.upstream_partitions,
            .problem = topic.problem,
            .problem_since = topic.problem.empty() ? timestamp_none : topic.problem_since,
        });
        if (!topic.problem.empty() && has_backlog(topic, log)) {
            status.degraded.push_back("topic " + topic.name + ": " + topic.problem);
        }
    }
}

}  // namespace milepost::forward
