#pragma once

#include "gateway/forward/chunk.hpp"
#include "gateway/forward/forward_status.hpp"
#include "gateway/forward/forward_table.hpp"
#include "gateway/forward/rate_limit.hpp"
#include "gateway/forward/throttle.hpp"
#include "gateway/upstream/producer.hpp"
#include "storage/base/result.hpp"
#include "storage/base/time.hpp"
#include "storage/format/record.hpp"
#include "storage/log/log.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace milepost::forward {

// A message's tag: the partition, and the offset's low bits.
[[nodiscard]] std::uint64_t tag_of(storage::PartitionId partition, Offset offset);
[[nodiscard]] storage::PartitionId partition_of(std::uint64_t tag);
// `confirmed`: of the window that the record is in flight in.
[[nodiscard]] Offset offset_of(std::uint64_t tag, Offset confirmed);

// Takes records from the log to the producer: partitions in turn, a chunk each, none more than its
// share of the producer's queue, so that one that does not move leaves room for the others.
class Feeder {
public:
    struct Limits {
        std::size_t queue_messages;
        std::size_t queue_bytes;
        Rates rates{};
        // Whether sending stops in the middle where the rates say so; else the owner waits between
        // transactions.
        bool paces = true;
    };

    struct Outcome {
        std::size_t records = 0;
        bool queue_full = false;
        bool more = false;                // there is more to send right now
        bool held_back = false;           // a partition has its share of the queue
        std::optional<Duration> paced{};  // nothing may be sent for so long

        // What stopped a topic, and where.
        struct Trouble {
            std::size_t topic;
            ErrorCode error;
            std::string text;
            // The record that the producer did not take.
            std::optional<std::pair<storage::PartitionId, Offset>> record{};
        };

        std::optional<Trouble> trouble;
    };

    Feeder(storage::Log& log, ForwardStats& stats, Limits limits)
        : log_(log)
        , stats_(stats)
        , limits_(limits)
        , rate_(limits.rates) {}

    // Sends for a bounded time. `wall`: for the header mp.late.
    Outcome feed(ForwardTable& table, upstream::Producer& producer, Instant now, Timestamp wall);

    // How long nothing may be sent: by the rates that are set, and what a throttling broker leaves.
    [[nodiscard]] Duration pause(Instant now) {
        rate_.bound(throttle_.bytes_per_s(now));
        return rate_.wait(now);
    }

    [[nodiscard]] Throttle& throttle() { return throttle_; }

    [[nodiscard]] const Throttle& throttle() const { return throttle_; }

    [[nodiscard]] const Rates& rates() const { return rate_.rates(); }

    // A window was rewound, or a topic stopped: what was read ahead is void.
    void drop() { chunk_.drop(); }

    // Is there anything durable that was not sent, in a topic that goes?
    [[nodiscard]] bool has_more(ForwardTable& table);

private:
    // What a partition may have in the queue, for each unit of its topic's weight.
    struct Share {
        std::size_t messages;
        std::size_t bytes;

        [[nodiscard]] Share of(std::int64_t weight) const {
            const auto times = static_cast<std::size_t>(weight);
            return {
                std::max<std::size_t>(messages * times / unit, 1),
                std::max<std::size_t>(bytes * times / unit, 1)};
        }

        static constexpr std::size_t unit = 1024;
    };

    // Where sending ends for now.
    [[nodiscard]] Offset end_of(const ForwardPartition& partition, std::size_t index) const;
    [[nodiscard]] Share share(ForwardTable& table);
    [[nodiscard]] std::optional<std::size_t> choose(ForwardTable& table, const Share& share);
    [[nodiscard]] double turn_of(std::size_t topic) const;
    Result<void> next_chunk(ForwardTable& table, const Share& share);
    ErrorCode send_record(ForwardTable& table, upstream::Producer& producer, Timestamp wall);
    void send_chunk(
        ForwardTable& table,
        upstream::Producer& producer,
        Timestamp wall,
        Outcome& outcome
    );

    storage::Log& log_;
    ForwardStats& stats_;
    Limits limits_;
    Chunk chunk_;
    std::size_t turn_ = 0;  // the partition that is looked at first
    bool held_back_ = false;
    // How much each topic has had, by weight: who has had least is next. One that had nothing to
    // send begins where the others are.
    std::vector<double> had_;
    double had_least_ = 0;
    RateLimit rate_;
    Throttle throttle_;
    Instant now_{};
    std::vector<storage::HeaderView> headers_;
};

}  // namespace milepost::forward
