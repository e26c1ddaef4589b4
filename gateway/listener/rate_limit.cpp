#include "gateway/listener/rate_limit.hpp"

#include <algorithm>
#include <chrono>

namespace milepost::listener {

using Seconds = std::chrono::duration<double>;

void RateLimit::Bucket::refill(double seconds) {
    left = std::min(per_s, left + per_s * seconds);
}

double RateLimit::Bucket::seconds_owed() const {
    return per_s == 0 || left >= 0 ? 0 : -left / per_s;
}

RateLimit::RateLimit(std::uint64_t messages_per_s, std::uint64_t bytes_per_s, Instant now)
    : messages_{static_cast<double>(messages_per_s), static_cast<double>(messages_per_s)}
    , bytes_{static_cast<double>(bytes_per_s), static_cast<double>(bytes_per_s)}
    , refilled_at_(now) {}

Duration RateLimit::pause(Instant now) {
    const double passed = Seconds{now - refilled_at_}.count();
    refilled_at_ = now;
    messages_.refill(passed);
    bytes_.refill(passed);
    const Seconds owed{std::max(messages_.seconds_owed(), bytes_.seconds_owed())};
    return std::chrono::duration_cast<Duration>(owed);
}

}  // namespace milepost::listener
