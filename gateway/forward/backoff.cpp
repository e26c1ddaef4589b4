#include "gateway/forward/backoff.hpp"

#include <algorithm>

namespace milepost::forward {

Duration Backoff::next() {
    std::uniform_int_distribution<Duration::rep> shorten{0, step_.count() / 2};
    const Duration wait = step_ - Duration{shorten(random_)};
    step_ = std::min(step_ * 2, most_);
    return wait;
}

}  // namespace milepost::forward
