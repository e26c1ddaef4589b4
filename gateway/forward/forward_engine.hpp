#pragma once

#include "gateway/forward/backoff.hpp"
#include "gateway/forward/feeder.hpp"
#include "gateway/forward/forward_status.hpp"
#include "gateway/forward/forward_table.hpp"
#include "gateway/upstream/client_settings.hpp"
#include "gateway/upstream/producer.hpp"
#include "storage/base/result.hpp"
#include "storage/base/time.hpp"
#include "storage/log/log.hpp"
#include "storage/meta/position_store.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace milepost::forward {

struct ForwardSettings {
    std::string gateway_id;
    bool create_topics = false;
    std::size_t queue_messages = upstream::queue_messages_default;  // as the producer's
    std::size_t queue_bytes = upstream::queue_bytes_default;
    std::uint64_t seed = 1;  // of the back-off's jitter: different on each gateway
};

// A new producer, or why there is none (`problem` in words).
using ProducerFactory =
    std::function<Result<std::unique_ptr<upstream::Producer>>(std::string& problem)>;
// A line for the gateway's log; `level` as syslog's.
using LogLine = std::function<void(int level, std::string_view text)>;

// Forwarding as a machine that is turned by its owner: no thread, no clock. Reads the log, hands
// records to a producer, moves `forwarded` over what was confirmed without a gap. At least once.
// A record that fails is sent again with everything behind it in its partition; a fatal error of
// the producer is answered with a new producer.
class ForwardEngine final : private upstream::ProducerListener {
public:
    // What turn() came to.
    struct Turn {
        // Turn again after this long at the latest, and at each wake; nullopt: only when woken.
        std::optional<Duration> wait;
        std::size_t sent = 0;
        bool caught_up = true;  // nothing durable is waiting that could be sent
    };

    ForwardEngine(
        ForwardSettings settings,
        storage::Log& log,
        ForwardStats& stats,
        ProducerFactory make_producer,
        LogLine log_line
    );

    // Before the first turn.
    void load(std::span<const storage::ForwardPosition> positions) { table_.load(positions); }

    // May ask the brokers about topics, which takes up to a second where nothing is in flight.
    Turn turn(Instant now, Timestamp wall);

    // Nothing is taken from the log any more; what is in flight is still waited for by turn().
    void stop_reading() { reading_ = false; }

    // The producer goes, and what was in flight is not waited for. After the last turn.
    void close() { producer_.reset(); }

    [[nodiscard]] std::uint64_t in_flight() const;

    // Something became sendable that the last turn did not see.
    [[nodiscard]] bool has_more() { return producer_ && reading_ && feeder_.has_more(table_); }

    [[nodiscard]] std::vector<storage::ForwardPosition> unsaved() const { return table_.unsaved(); }

    void mark_saved(std::span<const storage::ForwardPosition> positions) {
        table_.mark_saved(positions);
    }

    [[nodiscard]] ForwardStatus status(Instant now, Timestamp wall) const;

private:
    void on_reports(std::span<const upstream::DeliveryReport> reports) override;
    void on_error(const ErrorCode& error, std::string_view text) override;
    void on_brokers(std::uint32_t connected) override;
    void on_log(int level, std::string_view text) override;

    void make_producer();
    void open_topics();
    void begin_replacing(std::string reason);
    [[nodiscard]] bool replaced();
    void stop_topic(std::size_t index, const ErrorCode& error, std::string text);
    void clear_problem(ForwardTopic& topic);
    void on_failed(
        const ForwardPartition& partition,
        Offset offset,
        const upstream::DeliveryReport& report
    );
    void settle_topics();
    [[nodiscard]] bool topics_to_check() const;
    void check_topics();
    void check_topic(ForwardTopic& topic, const upstream::TopicMetadata& metadata);
    void feed(Turn& turn);
    void work_out_wait(Turn& turn) const;

    ForwardSettings settings_;
    // Whether something of the topic waits: a topic that nobody publishes to may be missing
    // upstream without forwarding being the worse for it.
    [[nodiscard]] bool has_backlog(const ForwardTopic& topic) const;

    storage::Log& log_;
    ForwardStats& stats_;
    ProducerFactory factory_;
    LogLine log_line_;
    ForwardTable table_;
    Feeder feeder_;
    std::unique_ptr<upstream::Producer> producer_;

    Instant now_{};
    Timestamp wall_ = timestamp_none;
    bool reading_ = true;
    Backoff producer_backoff_;
    Instant producer_at_{};                   // not made before
    std::optional<Instant> replacing_until_;  // a fatal producer's last reports are waited for
    std::string producer_problem_;            // empty: none
    Backoff metadata_backoff_;
    Instant metadata_at_{};  // not asked before

    Instant progress_at_{};  // something was confirmed, or nothing was in flight
    Timestamp progress_wall_ = timestamp_none;
    std::string last_error_;
    Timestamp last_error_at_ = timestamp_none;
};

}  // namespace milepost::forward
