#include "gateway/clock_sync.hpp"

#include <sys/timex.h>

namespace milepost {

bool ClockSync::is_synced(Instant now) {
    if (is_synced_ || now < ask_at_) return is_synced_;
    ask_at_ = now + ask_interval;
    timex state{};
    is_synced_ = ::adjtimex(&state) != TIME_ERROR;
    return is_synced_;
}

}  // namespace milepost
