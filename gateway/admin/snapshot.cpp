#include "gateway/admin/snapshot.hpp"

#include "storage/base/units.hpp"
#include "storage/format/record_batch.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <chrono>

namespace milepost::admin {

namespace {

constexpr std::size_t peek_bytes = 64 * kib;

// The timestamp of the first record at or behind `offset`.
std::optional<Timestamp> timestamp_at(
    storage::Log& log,
    storage::PartitionId partition,
    storage::Offset offset
) {
    Buffer buffer;
    const auto read = log.read(partition, offset, peek_bytes, buffer);
    if (!read || read->batches.empty()) return std::nullopt;
    const auto header = storage::decode_batch_header(read->batches);
    if (!header) return std::nullopt;
    Buffer scratch;
    auto cursor =
        storage::RecordCursor::open(read->batches.first(header->total_bytes), *header, scratch);
    if (!cursor) return std::nullopt;
    while (true) {
        const auto record = cursor->next();
        if (!record || !*record) return header->max_timestamp;
        if ((*record)->offset >= offset) return (*record)->timestamp;
    }
}

}  // namespace

std::uint64_t accepted_by_bridges(const Sources& sources) {
    return sources.accepted_by_bridges ? sources.accepted_by_bridges() : 0;
}

bool forwards_topic(const Sources& sources, std::string_view topic) {
    return static_cast<bool>(sources.upstream) && sources.log.config().forwards_topic(topic);
}

std::vector<PartitionStatus> partition_statuses(const Sources& sources, Moment now) {
    std::vector<PartitionStatus> statuses;
    for (const auto id : sources.log.partitions()) {
        PartitionStatus status{
            .name = sources.log.name(id),
            .positions = sources.log.positions(id),
        };
        status.forwards = forwards_topic(sources, status.name.topic);
        if (status.forwards) status.lag = status.positions.durable - status.positions.forwarded;
        if (status.lag > 0) {
            const auto oldest = timestamp_at(sources.log, id, status.positions.forwarded);
            const auto age_ms = oldest ? std::max<std::int64_t>(0, now.wall - *oldest) : 0;
            status.oldest_unsent_seconds = static_cast<double>(age_ms) / 1000;
        }
        statuses.push_back(std::move(status));
    }
    std::ranges::sort(statuses, {}, &PartitionStatus::name);
    return statuses;
}

double commit_wait_seconds(const Sources& sources, Instant now) {
    const auto& stats = sources.log.stats();
    auto since_ms = stats.commit_pending_since_ms.value();
    // With the journal full no commit is under way: what everybody waits for is the checkpoint.
    const bool is_full = sources.log.intake() == storage::IntakeState::ring_full;
    if (since_ms == 0 && is_full) since_ms = stats.checkpoint_since_ms.value();
    if (since_ms == 0) return 0;
    const auto now_ms =
        std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch()).count();
    return static_cast<double>(std::max<std::int64_t>(0, now_ms - since_ms)) / 1000;
}

std::vector<std::string> unready_reasons(const Sources& sources) {
    const auto intake = sources.intake();
    if (intake.state == storage::IntakeState::open) return {};
    return {
        intake.reason.empty() ? std::string{intake_name(intake.state)}
                              : fmt::format("{}: {}", intake_name(intake.state), intake.reason)};
}

std::vector<std::string> degraded_reasons(const Sources& sources, Instant now) {
    std::vector<std::string> reasons;
    if (sources.degraded) reasons = sources.degraded();
    if (const auto waits = commit_wait_seconds(sources, now); waits > hung_commit_seconds) {
        reasons.push_back(fmt::format("disk: a commit waits for it since {:.0f} s", waits));
    }
    if (sources.bridges) {
        for (const auto& bridge : sources.bridges()) {
            if (bridge.state == "up") continue;
            const auto& why = bridge.last_error;
            reasons.push_back(fmt::format(
                "bridge {}: {}{}",
                bridge.name,
                bridge.state,
                why.empty() ? std::string{} : ": " + why
            ));
        }
    }
    if (sources.upstream) {
        const auto upstream = sources.upstream();
        // What `degraded` has said in other words is not said again.
        const bool is_said = std::ranges::find(reasons, upstream.reason) != reasons.end();
        if (upstream.state != "up" && !is_said) {
            reasons.push_back(
                upstream.reason.empty()
                    ? fmt::format("upstream: {}", upstream.state)
                    : fmt::format("upstream: {}: {}", upstream.state, upstream.reason)
            );
        }
        for (const auto& blocked : upstream.blocked_topics) {
            reasons.push_back("not forwarded: " + blocked);
        }
    }
    return reasons;
}

std::string_view intake_name(storage::IntakeState state) {
    switch (state) {
        case storage::IntakeState::open: return "open";
        case storage::IntakeState::ring_full: return "ring_full";
        case storage::IntakeState::disk_reserve: return "disk_reserve";
        case storage::IntakeState::sync_failed: return "sync_failed";
        case storage::IntakeState::closed: return "closed";
    }
    return "unknown";
}

}  // namespace milepost::admin
