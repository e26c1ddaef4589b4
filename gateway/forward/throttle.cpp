#include "gateway/forward/throttle.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>

namespace milepost::forward {

namespace {

using std::chrono::seconds;
using Seconds = std::chrono::duration<double>;

constexpr seconds measured_over{1};
constexpr double raise_per_second = 1.25;
constexpr seconds recent{10};
constexpr seconds forgotten_after{60};

}  // namespace

void Throttle::sent(Instant now, std::uint64_t bytes) {
    measure(now);
    counted_ += bytes;
}

void Throttle::measure(Instant now) {
    const Duration counted_for = now - counted_from_;
    if (counted_for < measured_over) return;
    measured_ = static_cast<double>(counted_) / Seconds{counted_for}.count();
    counted_ = 0;
    counted_from_ = now;
}

void Throttle::throttled(Instant now, Duration held) {
    complained_at_ = now;
    if (now < halved_until_) return;
    measure(now);
    const double allowed = static_cast<double>(bytes_per_s(now));
    // What was sent since the measuring began may be all there was: a burst.
    double went = std::max(measured_, static_cast<double>(counted_));
    if (allowed > 0) went = std::min(went, allowed);
    limit_ = std::max(went / 2, static_cast<double>(least));
    halved_until_ = now + std::max<Duration>(held, measured_over);
    raised_at_ = halved_until_;
}

std::uint64_t Throttle::bytes_per_s(Instant now) {
    if (limit_ == 0) return 0;
    if (now > raised_at_) {
        limit_ *= std::pow(raise_per_second, Seconds{now - raised_at_}.count());
        raised_at_ = now;
    }
    // By then it is large, or nothing is sent anyway.
    if (complained_at_ && now - *complained_at_ > forgotten_after) limit_ = 0;
    return static_cast<std::uint64_t>(limit_);
}

bool Throttle::is_recent(Instant now) const {
    return complained_at_ && now - *complained_at_ < recent;
}

}  // namespace milepost::forward
