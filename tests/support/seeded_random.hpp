#pragma once

#include <cstdint>

namespace milepost::test {

// The same numbers for the same seed on every machine, and cheap to make: splitmix64. Not for
// secrets.
class SeededRandom {
public:
    explicit SeededRandom(std::uint64_t seed)
        : state_(seed) {}

    std::uint64_t next() {
        std::uint64_t z = (state_ += 0x9E3779B97F4A7C15U);
        z = (z ^ (z >> 30U)) * 0xBF58476D1CE4E5B9U;
        z = (z ^ (z >> 27U)) * 0x94D049BB133111EBU;
        return z ^ (z >> 31U);
    }

    // 0 … bound - 1; bound > 0.
    std::uint64_t below(std::uint64_t bound) { return next() % bound; }

    bool chance(std::uint64_t numerator, std::uint64_t denominator) {
        return below(denominator) < numerator;
    }

private:
    std::uint64_t state_;
};

}  // namespace milepost::test
