#pragma once

#include "gateway/upstream/errc.hpp"
#include "storage/base/stats.hpp"
#include "storage/base/time.hpp"

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace milepost::forward {

// Figures of the forwarder for metrics. Any thread may read.
struct ForwardStats {
    Counter records;  // confirmed by the upstream
    Counter bytes;    // keys and values of those
    std::array<Counter, upstream::fault_count> faults;
    Counter producers;     // made since the start: the first, and one after each fatal error
    Counter transactions;  // committed
    Counter aborted_transactions;
    Counter throttled;  // answers that a broker's quota held back
    Gauge in_flight_records;
    Gauge in_flight_bytes;
    Gauge brokers_connected;
};

enum class TopicState : std::uint8_t {
    unchecked,  // no broker has answered yet whether it is there
    forwarding,
    draining,  // something failed; what is on its way is waited for
    waiting,   // for the next try
    local,     // it is not forwarded
};

[[nodiscard]] std::string_view topic_state_name(TopicState state);

struct TopicStatus {
    std::string topic;
    TopicState state = TopicState::unchecked;
    std::int32_t upstream_partitions = 0;  // 0: not known
    std::string problem;                   // empty: none
    Timestamp problem_since = timestamp_none;
};

// How forwarding stands, in words: for /api/v1/status and `milepost status`.
struct ForwardStatus {
    std::vector<TopicStatus> topics;
    std::uint32_t brokers_connected = 0;
    std::uint64_t in_flight_records = 0;
    std::int64_t backlog_records = 0;       // durable, not confirmed
    std::optional<double> drain_seconds{};  // until it is gone; nullopt: it does not shrink
    // Records are on their way and nothing was confirmed for a while.
    std::optional<Timestamp> no_progress_since;
    std::string last_error;  // of the connections or the producer; empty: none so far
    Timestamp last_error_at = timestamp_none;
    // Why forwarding is not as it should be, one line each; empty: all is well.
    std::vector<std::string> degraded;
};

}  // namespace milepost::forward
