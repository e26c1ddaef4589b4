#include "gateway/mqtt/keep_alive.hpp"

#include <chrono>

namespace milepost::mqtt {

std::optional<Instant> KeepAlive::deadline() const {
    if (seconds_ == 0 || paused_) return std::nullopt;
    return last_packet_ + std::chrono::milliseconds{1500} * seconds_;
}

bool KeepAlive::is_expired(Instant now) const {
    const auto end = deadline();
    return end && now >= *end;
}

}  // namespace milepost::mqtt
