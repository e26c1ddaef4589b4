#include "gateway/clock_sync.hpp"

#include <sys/timex.h>

namespace milepost {

bool says_synced(int adjtimex_result) {
    return adjtimex_result >= TIME_OK && adjtimex_result != TIME_ERROR;
}

bool ClockSync::is_synced(Instant now) {
    if (is_synced_ || now < ask_at_) return is_synced_;
    ask_at_ = now + ask_interval;
    timex details{};
    is_synced_ = says_synced(::adjtimex(&details));
    return is_synced_;
}

}  // namespace milepost
