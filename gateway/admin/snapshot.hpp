#pragma once

#include "gateway/admin/sources.hpp"
#include "storage/base/time.hpp"
#include "storage/log/log.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

// Facts that pages and metrics share, worked out from the sources at one moment.
namespace milepost::admin {

struct PartitionStatus {
    storage::TopicPartition name;
    storage::Positions positions;
    bool forwards = false;  // its records are forwarded
    std::int64_t lag = 0;   // durable - forwarded; without an upstream: 0
    double oldest_unsent_seconds = 0;
};

struct Moment {
    Timestamp wall;
    Instant monotonic{};
};

// In the order of topic and partition. Reads one batch of each partition that has something unsent.
[[nodiscard]] std::vector<PartitionStatus> partition_statuses(const Sources& sources, Moment now);

// Durable records that came through a bridge.
[[nodiscard]] std::uint64_t accepted_by_bridges(const Sources& sources);

// Whether the topic's records go upstream.
[[nodiscard]] bool forwards_topic(const Sources& sources, std::string_view topic);

inline constexpr double hung_commit_seconds = 5;  // a commit that waits longer is called hung
// Seconds since which a commit waits for the disk; 0: none does.
[[nodiscard]] double commit_wait_seconds(const Sources& sources, Instant now);

// Why readings are not taken in at the moment; empty: they are.
[[nodiscard]] std::vector<std::string> unready_reasons(const Sources& sources);

// What is not as it should be although readings are taken in.
[[nodiscard]] std::vector<std::string> degraded_reasons(const Sources& sources, Instant now);

[[nodiscard]] std::string_view intake_name(storage::IntakeState state);

}  // namespace milepost::admin
