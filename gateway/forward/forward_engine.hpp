#pragma once

#include "gateway/forward/backoff.hpp"
#include "gateway/forward/engine.hpp"
#include "gateway/forward/feeder.hpp"
#include "gateway/forward/forward_status.hpp"
#include "gateway/forward/forward_table.hpp"
#include "gateway/forward/id_wait.hpp"
#include "gateway/forward/poison_finder.hpp"
#include "gateway/forward/topic_gate.hpp"
#include "gateway/forward/upstream_news.hpp"
#include "gateway/upstream/producer.hpp"
#include "storage/base/result.hpp"
#include "storage/base/time.hpp"
#include "storage/log/log.hpp"
#include "storage/meta/position_store.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace milepost::forward {

// At least once: a producer without transactions, `forwarded` moves over what was confirmed without
// a gap, and the position store has what a restart goes on from. A record that fails is sent again
// with everything behind it in its partition; a fatal error of the producer is answered with a new
// producer.
class ForwardEngine final : public Engine, private UpstreamNews {
public:
    ForwardEngine(
        const ForwardSettings& settings,
        storage::Log& log,
        ForwardStats& stats,
        ProducerFactory make_producer,
        DeadLetterWiring dead_letters,
        LogLine log_line
    );

    void load(
        std::span<const storage::ForwardPosition> positions,
        std::span<const storage::Gap> poison
    ) override {
        table_.load(positions);
        table_.load_poison(poison);
    }

    Turn turn(Instant now, Timestamp wall) override;

    void stop_reading() override { reading_ = false; }

    void close() override { producer_.reset(); }

    [[nodiscard]] std::uint64_t in_flight() const override { return table_.in_flight(); }

    [[nodiscard]] bool has_more() override {
        return producer_ && reading_ && feeder_.has_more(table_);
    }

    [[nodiscard]] std::vector<storage::ForwardPosition> unsaved() const override {
        return table_.unsaved();
    }

    void mark_saved(std::span<const storage::ForwardPosition> positions) override {
        table_.mark_saved(positions);
    }

    [[nodiscard]] ForwardStatus status(Instant now, Timestamp wall) const override;

private:
    void on_reports(std::span<const upstream::DeliveryReport> reports) override;
    void on_throttled(Duration held) override;

    void make_producer();
    void begin_replacing(std::string reason);
    void let_go();
    [[nodiscard]] bool has_refused_some() const;
    [[nodiscard]] bool replaced();
    void on_failed(storage::PartitionId id, Offset offset, const upstream::DeliveryReport& report);
    void feed(Turn& turn);
    void work_out_wait(Turn& turn) const;

    storage::Log& log_;
    ProducerFactory factory_;
    ForwardTable table_;
    TopicGate gate_;
    PoisonFinder finder_;
    Feeder feeder_;
    std::unique_ptr<upstream::Producer> producer_;

    IdWait id_wait_;  // until something is confirmed
    bool reading_ = true;
    Backoff producer_backoff_;
    Instant producer_at_{};                   // not made before
    std::optional<Instant> replacing_until_;  // a fatal producer's last reports are waited for
    std::string producer_problem_;            // empty: none

    Instant progress_at_{};  // something was confirmed, or nothing was in flight
    Timestamp progress_wall_ = timestamp_none;
};

}  // namespace milepost::forward
