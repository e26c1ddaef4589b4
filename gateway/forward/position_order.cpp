#include "gateway/forward/position_order.hpp"

#include <algorithm>
#include <chrono>

namespace milepost::forward {

namespace {

// Two round trips of 5 ms. What is in between changes nothing.
constexpr std::chrono::milliseconds short_sending{10};
constexpr std::chrono::milliseconds long_sending{15};
// While they go last, one of so many goes first, to see whether that is still right.
constexpr int try_every = 32;

}  // namespace

bool PositionOrder::next_is_first() {
    if (is_first_) return true;
    if (++last_ones_ < try_every) return false;
    last_ones_ = 0;
    return true;
}

// The shortest counts, and fades, so that one slow answer does not change the order.
void PositionOrder::took(Duration sending) {
    sending_ = sending_ ? std::min(sending, *sending_ + *sending_ / 4) : sending;
    if (*sending_ > long_sending) is_first_ = false;
    if (*sending_ < short_sending) is_first_ = true;
}

}  // namespace milepost::forward
