#pragma once

#include "firmware-sim/random.hpp"
#include "storage/base/time.hpp"

#include <chrono>
#include <cstdint>

namespace milepost::fleet {

// How long to wait before the next try to connect: doubling, with jitter of a half, so that a fleet
// does not come back in step. Never gives up. Pure: seeded.
class Backoff {
public:
    static constexpr std::chrono::milliseconds first{250};
    static constexpr std::chrono::milliseconds longest{5000};

    explicit Backoff(std::uint64_t seed)
        : random_(seed) {}

    // Between half of the current step and the whole of it; the step doubles for the next time.
    [[nodiscard]] Duration next();

    // A connection stood: the next failure starts at `first` again.
    void reset() { step_ = first; }

private:
    Random random_;
    std::chrono::milliseconds step_ = first;
};

}  // namespace milepost::fleet
