#pragma once

#include "storage/base/time.hpp"

#include <poll.h>

namespace milepost::test {

// Looks every other millisecond whether `condition` holds; false when `limit` is over first. For
// what happens on threads that cannot be waited for.
template <class Condition>
[[nodiscard]] bool wait_until(Condition condition, Duration limit) {
    const Instant end = monotonic_now() + limit;
    while (!condition()) {
        if (monotonic_now() > end) return false;
        ::poll(nullptr, 0, 2);
    }
    return true;
}

}  // namespace milepost::test
