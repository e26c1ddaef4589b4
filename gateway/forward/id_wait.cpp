#include "gateway/forward/id_wait.hpp"

#include <chrono>

namespace milepost::forward {

namespace {

// How long a turn may be held up; whoever waits for a broker takes one that comes at once.
constexpr std::chrono::seconds answer_wait{1};
constexpr std::chrono::milliseconds ask_first{50};
constexpr std::chrono::seconds ask_most{1};

}  // namespace

IdWait::IdWait(std::uint64_t seed)
    : backoff_(ask_first, ask_most, seed) {}

void IdWait::begin(Instant now) {
    is_waiting_ = true;
    has_met_broker_ = false;
    next_at_ = now;
    backoff_.reset();
}

bool IdWait::turn(upstream::Producer& producer, Instant now) {
    if (!is_waiting_ || now < next_at_) return has_met_broker_;
    next_at_ = now + backoff_.next();
    if (producer.metadata(answer_wait) && !has_met_broker_) {
        // What was asked before there was one does not count.
        has_met_broker_ = true;
        backoff_.reset();
    }
    return has_met_broker_;
}

}  // namespace milepost::forward
