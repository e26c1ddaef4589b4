#pragma once

#include "gateway/forward/dead_letter_box.hpp"
#include "gateway/forward/engine.hpp"
#include "gateway/forward/forward_table.hpp"
#include "gateway/forward/topic_gate.hpp"
#include "gateway/upstream/producer.hpp"
#include "storage/base/time.hpp"
#include "storage/log/log.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace milepost::forward {

// Finds the record for whose sake Kafka refuses a batch, and has it set aside; everything else goes
// on meanwhile, but for its own partition, whose order is kept. Part of an engine.
class PoisonFinder {
public:
    PoisonFinder(
        ForwardTable& table,
        TopicGate& gate,
        storage::Log& log,
        DeadLetterWiring wiring,
        LogLine log_line
    );

    // The moment that the calls below speak of.
    void set_time(Instant now, Timestamp wall) {
        now_ = now;
        wall_ = wall;
    }

    // A record was refused as such. Its topic stops until judge().
    void refused(storage::PartitionId partition, Offset offset, int code);

    // Wherever nothing of a topic is in flight any more: what was refused of it alone is poison;
    // of what was refused together less goes next. True if anything had been refused.
    bool judge();

    // Where batches mix partitions these take turns while a record is looked for. Before anything
    // is planned or fed.
    void take_turns();
    // Without transactions: ends of runs, and the next ones. Before records are fed.
    void limit_runs();
    // All that was sent of the partition went through.
    static void run_succeeded(ForwardPartition& partition);

    // Records whose dead letters are durable are passed over from now on. True: there were some.
    bool set_aside();

    [[nodiscard]] std::optional<Duration> wait() const { return box_.wait(now_); }

    void describe(ForwardStatus& status) const;

private:
    void judge(storage::PartitionId id, std::int64_t together);
    [[nodiscard]] std::int64_t refused_together(const ForwardPartition& partition) const;
    [[nodiscard]] std::optional<std::size_t> next_turn(std::size_t topic);

    ForwardTable& table_;
    TopicGate& gate_;
    storage::Log& log_;
    DeadLetterBox box_;
    LogLine log_line_;
    Instant now_{};
    Timestamp wall_ = timestamp_none;
};

}  // namespace milepost::forward
