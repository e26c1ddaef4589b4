#include "firmware-sim/radio_link.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

namespace milepost::fleet {

namespace {

// TCP sends again after 200 ms, then after twice as long, and so on.
constexpr std::chrono::milliseconds first_timeout{200};
constexpr int timeouts_max = 6;

}  // namespace

RadioLink::RadioLink(
    std::unique_ptr<Link> inner,
    std::uint32_t vehicle,
    std::uint64_t seed,
    double speed,
    Inbox& inbox
)
    : inner_(std::move(inner))
    , vehicle_(vehicle)
    , random_(seed)
    , speed_(speed)
    , inbox_(&inbox)
    , profile_(&radio_profiles().front()) {}

void RadioLink::tune(const RadioProfile& profile, Instant now) {
    profile_ = &profile;
    if (profile.is_never_covered()) {
        change_at_ = is_covered_ ? now : Instant::max();
        return;
    }
    if (!is_covered_) {
        change_at_ = now;
        return;
    }
    change_at_ = profile.is_always_covered() ? Instant::max() : now + draw(profile.covered);
}

void RadioLink::replace(std::unique_ptr<Link> inner) {
    held_.clear();
    inner_->abandon();
    inner_ = std::move(inner);
}

Instant RadioLink::next_turn() const {
    return held_.empty() || is_blocked_ ? change_at_ : std::min(change_at_, held_.front().release);
}

bool RadioLink::turn(Instant now) {
    release_until(now);
    if (now < change_at_) return false;
    is_covered_ = !is_covered_;
    if (is_covered_) {
        const bool stays = profile_->is_always_covered();
        change_at_ = stays ? Instant::max() : now + draw(profile_->covered);
        return true;
    }
    const bool stays_away = profile_->is_never_covered();
    change_at_ = stays_away ? Instant::max() : now + draw(profile_->gone);
    if (random_.uniform(0, 1) < 0.5) release_until(Instant::max());
    inner_->cut();
    return false;
}

void RadioLink::connect() {
    if (is_covered_) return inner_->connect();
    inbox_->post({
        .kind = LinkEventKind::connect_failed,
        .vehicle = vehicle_,
        .at = monotonic_now(),
        .wall = wall_now(),
    });
}

bool RadioLink::publish(std::uint64_t seq, const std::string& payload) {
    const Duration delay = draw_delay();
    if (held_.empty() && delay == Duration::zero()) return inner_->publish(seq, payload);
    Instant release = monotonic_now() + delay;
    if (!held_.empty()) release = std::max(release, held_.back().release);  // nothing overtakes
    held_.push_back({.release = release, .seq = seq, .payload = payload});
    return true;
}

void RadioLink::disconnect() {
    release_until(Instant::max());
    inner_->disconnect();
}

void RadioLink::abandon() {
    held_.clear();
    inner_->abandon();
}

void RadioLink::cut() {
    if (random_.uniform(0, 1) < 0.5) release_until(Instant::max());
    inner_->cut();
}

Duration RadioLink::draw(const TimeSpan& span) {
    const std::chrono::duration<double> from = span.min;
    const std::chrono::duration<double> to = span.max;
    const std::chrono::duration<double> drawn{random_.uniform(from.count(), to.count())};
    return std::chrono::duration_cast<Duration>(drawn / speed_);
}

Duration RadioLink::draw_delay() {
    if (profile_->delay.max.count() == 0 && profile_->loss == 0) return Duration::zero();
    Duration delay = draw(profile_->delay);
    auto timeout = first_timeout;
    for (int i = 0; i < timeouts_max && random_.uniform(0, 1) < profile_->loss; ++i) {
        delay += std::chrono::duration_cast<Duration>(
            std::chrono::duration<double>(timeout) / speed_
        );
        timeout *= 2;
    }
    return delay;
}

// What the connection does not take any more it gets when there is one again.
void RadioLink::release_until(Instant now) {
    while (!is_blocked_ && !held_.empty() && held_.front().release <= now) {
        is_blocked_ = !inner_->publish(held_.front().seq, held_.front().payload);
        if (!is_blocked_) held_.pop_front();
    }
}

}  // namespace milepost::fleet
