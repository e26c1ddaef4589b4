#pragma once

#include "gateway/forward/backoff.hpp"
#include "gateway/forward/engine.hpp"
#include "gateway/forward/id_wait.hpp"
#include "gateway/forward/lane.hpp"
#include "gateway/upstream/transactions.hpp"
#include "storage/log/log.hpp"

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace milepost::forward {

inline constexpr std::size_t lanes_max = 2;

// Exactly once: Kafka keeps the positions and moves them in the transactions that carry the
// records; the position store has a copy. The partitions are shared out over lanes, each with a
// transactional producer of its own. Their number may change between runs, so nothing begins before
// every id that an earlier run may have used was taken over.
class ExactlyOnceEngine final : public Engine {
public:
    // `lanes`: 1 to lanes_max.
    ExactlyOnceEngine(
        const ForwardSettings& settings,
        std::size_t lanes,
        storage::Log& log,
        ForwardStats& stats,
        TransactionalFactory factory,
        const DeadLetterWiring& dead_letters,
        const LogLine& log_line
    );

    void load(
        std::span<const storage::ForwardPosition> positions,
        std::span<const storage::Gap> poison
    ) override;
    Turn turn(Instant now, Timestamp wall) override;
    void stop_reading() override;
    void close() override;
    [[nodiscard]] bool has_more() override;
    [[nodiscard]] std::uint64_t in_flight() const override;
    [[nodiscard]] std::vector<storage::ForwardPosition> unsaved() const override;
    void mark_saved(std::span<const storage::ForwardPosition> positions) override;
    [[nodiscard]] ForwardStatus status(Instant now, Timestamp wall) const override;

private:
    // An id that is not used any more, and may have left a transaction open.
    struct OldId {
        std::size_t number;
        IdWait wait;
        std::optional<upstream::TransactionalClient> client{};
        Instant next_at{};
        bool is_done = false;
        int ends = 0;  // so many of the lanes' asked_for_ends() were answered
    };

    void take_over(OldId& id, Instant now);
    void go_on(OldId& id, const upstream::StepDone& done, Instant now);
    void let_go(OldId& id, Instant now, std::string problem);
    [[nodiscard]] std::vector<upstream::GroupPosition> undecided_positions() const;
    [[nodiscard]] int asked_for_ends() const;
    [[nodiscard]] bool is_wanted(const OldId& id) const;
    [[nodiscard]] bool has_met_broker() const;
    [[nodiscard]] std::optional<Duration> wait_for_old_ids(Instant now) const;
    [[nodiscard]] bool all_taken_over() const;

    TransactionalFactory factory_;
    LogLine log_line_;
    std::vector<std::unique_ptr<Lane>> lanes_;
    std::vector<OldId> old_ids_;
    Backoff old_ids_backoff_;
    std::string old_ids_problem_;
    bool may_begin_ = false;
};

}  // namespace milepost::forward
