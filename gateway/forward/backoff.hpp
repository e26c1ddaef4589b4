#pragma once

#include "storage/base/time.hpp"

#include <chrono>
#include <cstdint>
#include <random>

namespace milepost::forward {

// For a producer that could not be had, or became fatal.
inline constexpr std::chrono::milliseconds producer_retry_first{100};
inline constexpr std::chrono::seconds producer_retry_most{30};

// How long to wait before the next try: doubles from `first` to `most`, each time shortened by up
// to half at random, so that a fleet of gateways does not come back in one moment. Pure, seeded.
class Backoff {
public:
    Backoff(Duration first, Duration most, std::uint64_t seed)
        : first_(first)
        , most_(most)
        , step_(first)
        , random_(seed) {}

    [[nodiscard]] Duration next();

    // It worked: the next failure begins with `first` again.
    void reset() { step_ = first_; }

private:
    Duration first_;
    Duration most_;
    Duration step_;
    std::mt19937_64 random_;
};

}  // namespace milepost::forward
