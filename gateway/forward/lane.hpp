#pragma once

#include "gateway/forward/backoff.hpp"
#include "gateway/forward/engine.hpp"
#include "gateway/forward/feeder.hpp"
#include "gateway/forward/forward_table.hpp"
#include "gateway/forward/id_wait.hpp"
#include "gateway/forward/poison_finder.hpp"
#include "gateway/forward/position_order.hpp"
#include "gateway/forward/topic_gate.hpp"
#include "gateway/forward/transaction_size.hpp"
#include "gateway/forward/upstream_news.hpp"
#include "gateway/upstream/transactions.hpp"
#include "storage/log/log.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace milepost::forward {

// One transactional producer and its share of the partitions, exactly once: a transaction carries
// records and, with them, the positions behind them. What it does not commit never happened.
//
//   no producer → init → [read positions → ] idle → positions → records → commit → idle
//                                                       └─ abort ─────────────────────┘
// (what cannot be read for long: positions → abort → read positions)
// An error that ends the producer leads back to the beginning; Kafka then says whether the last
// transaction was committed. Part of ExactlyOnceEngine, which see for time and threads.
class Lane final : private UpstreamNews {
public:
    Lane(
        const ForwardSettings& settings,
        LanePlace place,
        storage::Log& log,
        ForwardStats& stats,
        TransactionalFactory factory,
        const DeadLetterWiring& dead_letters,
        const LogLine& log_line
    );

    void load(
        std::span<const storage::ForwardPosition> positions,
        std::span<const storage::Gap> poison
    ) {
        table_.load(positions);
        table_.load_poison(poison);
    }

    // `may_begin`: no producer of an earlier run can still have a transaction open.
    Engine::Turn turn(Instant now, Timestamp wall, bool may_begin);

    void stop_reading() { reading_ = false; }

    void close() { client_.reset(); }

    // No predecessor of this id can do anything any more.
    [[nodiscard]] bool has_taken_over() const { return has_taken_over_; }

    // A broker has answered; then a topic to ask it about is known, or there is none yet.
    [[nodiscard]] bool has_met_broker() const {
        return has_taken_over_ || id_wait_.has_met_broker();
    }

    [[nodiscard]] std::optional<std::string> some_topic() const;

    // How often the positions could not be read for long, so that a transaction that Kafka lost the
    // end of is looked for: this lane has ended what it lost itself, others may be asked, too.
    [[nodiscard]] int asked_for_ends() const { return asked_for_ends_; }

    // What a transaction may carry that is begun to be aborted.
    [[nodiscard]] std::vector<upstream::GroupPosition> clearing_positions() const;

    [[nodiscard]] bool has_more();

    [[nodiscard]] std::uint64_t in_flight() const { return sent_; }

    [[nodiscard]] std::vector<storage::ForwardPosition> unsaved() const { return table_.unsaved(); }

    void mark_saved(std::span<const storage::ForwardPosition> positions) {
        table_.mark_saved(positions);
    }

    void describe(ForwardStatus& status, Instant now, Timestamp wall) const;

private:
    enum class State : std::uint8_t {
        no_producer,
        taking_over,
        idle,
        reading_positions,
        clearing,  // positions that are aborted, so that they can be read
        opening,   // positions go first
        sending,
        closing,  // positions go last
        committing,
        aborting,
    };

    void on_reports(std::span<const upstream::DeliveryReport> reports) override;
    void on_throttled(Duration held) override;

    void make_producer();
    void await_id();
    void lose_producer(const std::string& reason, Duration wait);
    void drop_producer(Duration wait);
    void start(upstream::Step step, std::vector<upstream::GroupPosition> positions = {});
    void try_again_later(upstream::Step step, const upstream::StepDone& done);
    void on_done(const upstream::StepDone& done);
    void progressed();
    void wait_for_step(Engine::Turn& turn) const;
    [[nodiscard]] bool is_stuck() const;

    // lane_positions.cpp: where to go on
    [[nodiscard]] std::vector<upstream::GroupPosition> unknown_positions() const;
    void not_read(const upstream::StepDone& done);
    void take_positions(const std::vector<upstream::GroupPosition>& found);
    struct Findings;
    void take_first(ForwardPartition& partition, const upstream::GroupPosition& found, Findings&);
    void take_again(ForwardPartition& partition, const upstream::GroupPosition& found, Findings&);
    void take_local(ForwardPartition& partition, Findings& findings);
    void go_on(ForwardPartition& partition, Offset offset, Findings& findings);
    void report(const Findings& findings);
    void alarm(std::string text);

    // One transaction
    void idle(Engine::Turn& turn);
    void pass_over();
    [[nodiscard]] std::int64_t backlog() const;
    [[nodiscard]] std::int64_t room() const;
    [[nodiscard]] bool is_due(const ForwardPartition& partition) const;
    [[nodiscard]] bool plan();
    void release_limits();
    void begin();
    void send(Engine::Turn& turn);
    void abort(const std::string& reason, const ErrorCode& error = {});
    void find_culprit(const ErrorCode& error, const std::string& reason);

    [[nodiscard]] bool has_turn(const ForwardPartition& partition) const {
        return turns_alone_ == 0 || partition.topic == alone_;
    }

    void committed();
    void aborted();
    void forget_transaction();

    const ForwardSettings settings_;
    storage::Log& log_;
    const std::size_t number_;
    TransactionalFactory factory_;
    ForwardTable table_;
    TopicGate gate_;
    PoisonFinder finder_;
    Feeder feeder_;
    std::optional<upstream::TransactionalClient> client_;

    State state_ = State::no_producer;
    std::optional<upstream::Step> step_;  // under way
    Instant step_at_{};
    std::optional<upstream::Step> retry_;  // to be started again at retry_at_
    Instant retry_at_{};
    bool reading_ = true;
    bool has_taken_over_ = false;
    IdWait id_wait_;
    int failed_reads_ = 0;  // of the positions, one after the other
    int asked_for_ends_ = 0;
    bool is_cleared_ = false;  // a lost transaction was ended since they were read
    Backoff producer_backoff_;
    Instant producer_at_{};  // not made before
    std::string problem_;    // of the producer; empty: none

    TransactionSize size_;
    std::vector<upstream::GroupPosition> positions_;  // of the open transaction
    std::uint64_t sent_ = 0;                          // records of the open transaction
    std::uint64_t sent_bytes_ = 0;
    bool failed_ = false;       // it can only be aborted
    bool has_culprit_ = false;  // for the sake of a topic or a record, whatever its size
    // Kafka refuses a transaction for one topic's sake without naming it: then topics go one by
    // one until it is found, or each has had its turn.
    std::size_t turns_alone_ = 0;
    std::size_t alone_ = 0;  // the topic whose turn it is, or was
    bool position_first_ = true;
    PositionOrder order_;
    bool is_away_ = false;  // no broker was connected when the transaction began
    Instant begun_at_{};
    Instant next_at_{};  // no transaction begins before, unless it would be a full one
    Backoff abort_backoff_;

    bool is_contested_ = false;  // another gateway took over; the next time we take back
    Backoff contest_backoff_;
    std::string alarm_;
    Instant alarm_at_{};

    Instant progress_at_{};
    Timestamp progress_wall_ = timestamp_none;
};

}  // namespace milepost::forward
