#include "gateway/forward/rate_limit.hpp"

#include <algorithm>
#include <chrono>

namespace milepost::forward {

namespace {

constexpr double burst_seconds = 0.1;

}  // namespace

void RateLimit::Bucket::refill(double per_s, double seconds) {
    tokens = std::min(tokens + per_s * seconds, std::max(per_s * burst_seconds, 1.0));
}

double RateLimit::Bucket::wait_seconds(double per_s) const {
    return per_s <= 0 || tokens > 0 ? 0 : (1 - tokens) / per_s;
}

void RateLimit::bound(std::uint64_t bytes_per_s) {
    bounded_.bytes_per_s = rates_.bytes_per_s;
    if (bytes_per_s == 0) return;
    const bool is_less = rates_.bytes_per_s == 0 || bytes_per_s < rates_.bytes_per_s;
    if (is_less) bounded_.bytes_per_s = bytes_per_s;
}

Duration RateLimit::wait(Instant now) {
    const auto bytes_per_s = static_cast<double>(bounded_.bytes_per_s);
    const auto records_per_s = static_cast<double>(bounded_.records_per_s);
    if (bounded_.bytes_per_s == 0 && bounded_.records_per_s == 0) return Duration::zero();
    const double seconds = std::chrono::duration<double>(now - filled_at_).count();
    filled_at_ = now;
    bytes_.refill(bytes_per_s, seconds);
    records_.refill(records_per_s, seconds);
    const double longest =
        std::max(bytes_.wait_seconds(bytes_per_s), records_.wait_seconds(records_per_s));
    return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(longest));
}

void RateLimit::sent(std::uint64_t records, std::uint64_t bytes) {
    if (bounded_.bytes_per_s > 0) bytes_.tokens -= static_cast<double>(bytes);
    if (bounded_.records_per_s > 0) records_.tokens -= static_cast<double>(records);
}

}  // namespace milepost::forward
