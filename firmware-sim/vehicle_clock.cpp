#include "firmware-sim/vehicle_clock.hpp"

#include <cmath>

namespace milepost::fleet {

Timestamp VehicleClock::read(Timestamp now) {
    tell_if_due(now);
    return believed(now);
}

void VehicleClock::forget(Timestamp now, std::chrono::milliseconds until_told) {
    at_ = now;
    reading_ = Timestamp{0};
    told_at_ = now + until_told.count();
    is_set_ = false;
}

void VehicleClock::set(Timestamp now) {
    at_ = now;
    reading_ = now;
    told_at_.reset();
    is_set_ = true;
}

void VehicleClock::drift(Timestamp now, double millionths) {
    tell_if_due(now);
    reading_ = believed(now);
    at_ = now;
    drift_ = millionths * 1e-6;
}

void VehicleClock::tell_if_due(Timestamp now) {
    if (told_at_ && *told_at_ <= now) set(*told_at_);
}

Timestamp VehicleClock::believed(Timestamp now) const {
    if (!at_) return now;
    const auto passed = static_cast<double>(now - *at_);
    return reading_ + (now - *at_) + std::llround(passed * drift_);
}

}  // namespace milepost::fleet
