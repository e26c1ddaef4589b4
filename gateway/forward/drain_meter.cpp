#include "gateway/forward/drain_meter.hpp"

#include <chrono>

namespace milepost::forward {

namespace {

constexpr std::chrono::seconds step{1};
constexpr double smoothing = 0.3;

}  // namespace

void DrainMeter::update(Instant now, std::int64_t backlog) {
    if (backlog == 0 || !at_) {
        at_ = now;
        backlog_ = backlog;
        records_per_s_ = 0;
        return;
    }
    if (now - *at_ < step) return;
    const double seconds = std::chrono::duration<double>(now - *at_).count();
    const double rate = static_cast<double>(backlog_ - backlog) / seconds;
    records_per_s_ = records_per_s_ == 0 ? rate
                                         : records_per_s_ + smoothing * (rate - records_per_s_);
    at_ = now;
    backlog_ = backlog;
}

std::optional<double> DrainMeter::seconds() const {
    if (backlog_ == 0) return 0;
    if (records_per_s_ <= 0) return std::nullopt;
    return static_cast<double>(backlog_) / records_per_s_;
}

}  // namespace milepost::forward
