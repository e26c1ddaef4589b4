#include "firmware-sim/backoff.hpp"

#include <algorithm>

namespace milepost::fleet {

Duration Backoff::next() {
    const Duration whole = step_;
    step_ = std::min(step_ * 2, longest);
    const auto half = static_cast<std::uint64_t>((whole / 2).count());
    return whole / 2 + Duration{static_cast<Duration::rep>(random_.next() % (half + 1))};
}

}  // namespace milepost::fleet
