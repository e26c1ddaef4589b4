#include "gateway/commit_pace.hpp"

#include <algorithm>
#include <chrono>

namespace milepost {

namespace {

// A window ends when nobody has come for 1/8 of a commit: a round trip on a local network, and the
// device's own time.
constexpr Duration::rep gap_part = 8;
constexpr Duration gap_max = std::chrono::milliseconds{5};

// At the latest 3/4 of a commit after the last one: with more than that the disk's rest costs what
// the larger group gains. The acks count: as many devices need as long to come back.
constexpr Duration whole_window(Duration commit_time) {
    return commit_time / 4 * 3;
}

// Three of four came back: worth it.
constexpr bool was_worth_it(std::size_t returned, std::size_t expected) {
    return returned * 4 >= expected * 3;
}

constexpr std::uint32_t penalty_max = 31;

// Slots that are followed: as many connections as a machine has. The bridges' are beyond.
constexpr std::size_t devices_max = std::size_t{1} << 17U;

}  // namespace

void CommitPace::arrived(AckToken token) {
    if (!is_window_open_ || token.connection >= devices_.size()) return;
    Device& device = devices_[token.connection];
    if (device.flight != flight_ || device.generation != token.generation) return;
    device.flight = 0;
    ++returned_;
}

void CommitPace::landed(
    std::span<const AckToken> tokens,
    Duration commit_time,
    Instant written,
    Instant now
) {
    is_window_open_ = false;
    if (skips_ > 0) {
        --skips_;
        return;
    }
    if (++flight_ == 0) ++flight_;
    expected_ = 0;
    returned_ = 0;
    seen_ = 0;
    for (const AckToken& token : tokens) {
        if (token.connection >= devices_max) continue;
        if (token.connection >= devices_.size()) devices_.resize(token.connection + 1);
        Device& device = devices_[token.connection];
        if (device.flight == flight_ && device.generation == token.generation) continue;
        device = {flight_, token.generation};
        ++expected_;
    }
    if (expected_ == 0) return;
    is_window_open_ = true;
    gap_max_ = std::min(commit_time / gap_part, gap_max);
    last_return_ = now;
    window_end_ = written + whole_window(commit_time);
}

bool CommitPace::is_expected_back(Instant now) const {
    return is_window_open_ && returned_ < expected_ && now < window_end_ &&
           now < last_return_ + gap_max_;
}

std::optional<Instant> CommitPace::due(bool is_committing, Instant now) {
    const Instant by_interval = committed_at_ + interval_;
    if (is_committing) {
        if (skips_ == 0) return std::nullopt;  // the window comes first
        return by_interval;
    }
    if (seen_ != returned_) {
        seen_ = returned_;
        last_return_ = now;
    }
    if (!is_expected_back(now)) return by_interval;
    return std::max(by_interval, std::min(last_return_ + gap_max_, window_end_));
}

void CommitPace::committed(Instant now) {
    committed_at_ = now;
    if (!is_window_open_) return;
    is_window_open_ = false;
    if (was_worth_it(returned_, expected_)) {
        penalty_ = 0;
        return;
    }
    penalty_ = std::min(penalty_ * 2 + 1, penalty_max);
    skips_ = penalty_;
}

}  // namespace milepost
