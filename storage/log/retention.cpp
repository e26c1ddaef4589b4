#include "storage/log/retention.hpp"

#include <algorithm>
#include <array>
#include <limits>
#include <optional>

namespace milepost::storage {

namespace {

bool is_plausible(Timestamp timestamp, Timestamp now) {
    return timestamp >= plausible_from && timestamp <= now + clock_tolerance.count();
}

// Works on one input: what is left of each partition, and what was decided.
class Planner {
public:
    explicit Planner(const RetentionInput& input)
        : input_(input)
        , gone_(input.partitions.size(), 0) {}

    std::vector<Removal> plan() {
        for (std::size_t i = 0; i < input_.partitions.size(); ++i) {
            apply_age(i);
            apply_bytes(i);
        }
        make_room(RemovalReason::limit, ActiveOnes::stay);
        make_room(RemovalReason::limit, ActiveOnes::go);
        if (input_.full == FullPolicy::drop_oldest) {
            make_room(RemovalReason::drop_oldest, ActiveOnes::stay);
            make_room(RemovalReason::drop_oldest, ActiveOnes::go);
        }
        return std::move(removals_);
    }

private:
    enum class ActiveOnes : std::uint8_t { stay, go };

    // From the front as far as everything is too old. What has no right timestamp goes with what
    // follows it, or stays.
    void apply_age(std::size_t at) {
        const RetainedPartition& partition = input_.partitions[at];
        if (partition.limits.age.count() == 0 || !partition.age_counts) return;
        const Timestamp oldest = input_.now - partition.limits.age.count();
        std::size_t too_old = 0;
        for (std::size_t i = gone_[at]; i < partition.segments.size(); ++i) {
            const RetainedSegment& segment = partition.segments[i];
            if (segment.next > partition.released) break;
            if (!is_plausible(segment.max_timestamp, input_.now)) continue;
            if (segment.max_timestamp >= oldest) break;
            too_old = i + 1;
        }
        while (gone_[at] < too_old)
            remove_front(at, RemovalReason::retention_age);
    }

    void apply_bytes(std::size_t at) {
        const RetainedPartition& partition = input_.partitions[at];
        if (partition.limits.bytes == 0) return;
        std::uint64_t bytes = 0;
        for (std::size_t i = gone_[at]; i < partition.segments.size(); ++i)
            bytes += partition.segments[i].bytes;
        while (gone_[at] + 1 < partition.segments.size()) {
            const RetainedSegment& front = partition.segments[gone_[at]];
            if (bytes - front.bytes < partition.limits.bytes) return;
            if (front.next > partition.released) return;
            bytes -= front.bytes;
            remove_front(at, RemovalReason::retention_bytes);
        }
    }

    void make_room(RemovalReason reason, ActiveOnes active) {
        while (freed_ < input_.bytes_needed) {
            std::optional<std::size_t> oldest;
            for (std::size_t i = 0; i < input_.partitions.size(); ++i) {
                if (!may_go(i, reason, active)) continue;
                if (!oldest || age_key(i) < age_key(*oldest)) oldest = i;
            }
            if (!oldest) return;
            remove_front(*oldest, reason);
        }
    }

    [[nodiscard]] bool may_go(std::size_t at, RemovalReason reason, ActiveOnes active) const {
        const RetainedPartition& partition = input_.partitions[at];
        const std::size_t left = partition.segments.size() - gone_[at];
        if (left == 0 || (left == 1 && active == ActiveOnes::stay)) return false;
        if (!partition.gives_room) return false;
        const RetainedSegment& front = partition.segments[gone_[at]];
        return reason == RemovalReason::drop_oldest || front.next <= partition.released;
    }

    [[nodiscard]] std::int64_t age_key(std::size_t at) const {
        const auto& segments = input_.partitions[at].segments;
        const auto known = std::find_if(
            segments.begin() + static_cast<std::ptrdiff_t>(gone_[at]),
            segments.end(),
            [&](const RetainedSegment& segment) {
                return is_plausible(segment.max_timestamp, input_.now);
            }
        );
        return known == segments.end() ? std::numeric_limits<std::int64_t>::max()
                                       : known->max_timestamp.value();
    }

    void remove_front(std::size_t at, RemovalReason reason) {
        const auto& segments = input_.partitions[at].segments;
        const RetainedSegment& front = segments[gone_[at]];
        removals_.push_back(
            {.partition = at,
             .segment = front,
             .reason = reason,
             .is_active = gone_[at] + 1 == segments.size()}
        );
        freed_ += front.bytes;
        ++gone_[at];
    }

    const RetentionInput& input_;
    std::vector<std::size_t> gone_;  // how many of each partition's front
    std::vector<Removal> removals_;
    std::uint64_t freed_ = 0;
};

}  // namespace

std::string_view name_of(RemovalReason reason) {
    switch (reason) {
        case RemovalReason::retention_bytes: return "retention_bytes";
        case RemovalReason::retention_age: return "retention_age";
        case RemovalReason::limit: return "limit";
        case RemovalReason::drop_oldest: return "drop_oldest";
    }
    return "unknown";
}

bool is_of_retention(std::string_view reason) {
    constexpr std::array all{
        RemovalReason::retention_bytes,
        RemovalReason::retention_age,
        RemovalReason::limit,
        RemovalReason::drop_oldest};
    return std::any_of(all.begin(), all.end(), [&](RemovalReason one) {
        return name_of(one) == reason;
    });
}

std::vector<Removal> plan_retention(const RetentionInput& input) {
    return Planner{input}.plan();
}

ClockReading read_clock() {
    const auto since = monotonic_now().time_since_epoch();
    return {
        .wall = wall_now(),
        .monotonic_ms = std::chrono::duration_cast<std::chrono::milliseconds>(since).count()};
}

bool moved_alike(const ClockReading& before, const ClockReading& now) {
    const std::int64_t wall_ms = now.wall - before.wall;
    // The machine was started again: monotonic time began anew, and was off for nobody knows how
    // long.
    const bool is_new_boot = now.monotonic_ms < before.monotonic_ms;
    const std::int64_t steady_ms = is_new_boot ? now.monotonic_ms
                                               : now.monotonic_ms - before.monotonic_ms;
    const std::int64_t apart = wall_ms > steady_ms ? wall_ms - steady_ms : steady_ms - wall_ms;
    return apart <= clock_tolerance.count();
}

void AgeClock::update(const ClockReading& now) {
    if (moved_alike(reference_, now)) {
        reference_ = now;
        jumped_ = false;
        return;
    }
    if (!jumped_ || now.monotonic_ms < since_.monotonic_ms || !moved_alike(since_, now)) {
        jumped_ = true;
        since_ = now;
    }
    steady_ = std::chrono::milliseconds{now.monotonic_ms - since_.monotonic_ms};
    if (steady_ >= age_max_) {
        reference_ = now;
        jumped_ = false;
    }
}

}  // namespace milepost::storage
