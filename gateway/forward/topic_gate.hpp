#pragma once

#include "gateway/forward/backoff.hpp"
#include "gateway/forward/engine.hpp"
#include "gateway/forward/forward_status.hpp"
#include "gateway/forward/forward_table.hpp"
#include "gateway/upstream/producer.hpp"
#include "storage/base/result.hpp"
#include "storage/base/time.hpp"
#include "storage/log/log.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

namespace milepost::forward {

// Decides which topics may be forwarded now: opens them, asks the brokers about them, stops one
// after a failure and lets it go on. One topic never holds up another. Part of an engine.
class TopicGate {
public:
    struct Rules {
        bool create_topics = false;
        // A topic with fewer partitions upstream than in the log is not forwarded.
        bool needs_all_partitions = false;
    };

    TopicGate(Rules rules, ForwardTable& table, ForwardStats& stats, LogLine log_line);

    // The moment that the calls below speak of.
    void set_time(Instant now, Timestamp wall) {
        now_ = now;
        wall_ = wall;
    }

    void producer_made();
    // The producer is gone: what was forwarding is to be looked up again.
    void producer_lost();

    // Topics that the log has got meanwhile, and all of them on a new producer.
    void open_topics(upstream::Producer& producer);
    // Asks the brokers where something is to be asked; blocks for up to a second.
    void check_topics(upstream::Producer& producer);

    // Something of the topic failed: it drains, waits, and is tried again.
    void stop(std::size_t topic, const ErrorCode& error, std::string text);
    // It goes on after a record failed with the producer, not by a fault of its own.
    void retry_at_once(ForwardTopic& topic, upstream::Fault fault);

    // A record of the topic was confirmed.
    void confirmed(ForwardTopic& topic) {
        if (topic.problem_with_records && topic.state == TopicState::forwarding) clear(topic);
    }

    // Topics that have drained wait for their next try, from what was confirmed on.
    void settle();

    // When check_topics has something to do next; nullopt: never by itself.
    [[nodiscard]] std::optional<Duration> wait() const;
    void describe(ForwardStatus& status, const storage::Log& log) const;

private:
    [[nodiscard]] bool is_due(const ForwardTopic& topic) const {
        return topic.state == TopicState::unchecked ||
               (topic.state == TopicState::waiting && topic.retry_at <= now_);
    }

    void clear(ForwardTopic& topic);
    void check(
        std::size_t index,
        const upstream::TopicMetadata& metadata,
        upstream::Producer& producer
    );
    // True if it is being made.
    [[nodiscard]] bool create(ForwardTopic& topic, upstream::Producer& producer, std::string& text);

    Rules rules_;
    ForwardTable& table_;
    ForwardStats& stats_;
    LogLine log_line_;
    Instant now_{};
    Timestamp wall_ = timestamp_none;
    Backoff metadata_backoff_;
    Instant metadata_at_{};     // not asked before
    bool has_created_ = false;  // a topic, in this turn
};

}  // namespace milepost::forward
