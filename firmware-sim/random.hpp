#pragma once

#include <cstdint>

namespace milepost::fleet {

// splitmix64: eight bytes of state, where std::mt19937_64 has 2,500 and there are 10,000 vehicles.
// The same seed gives the same numbers with every compiler and library.
class Random {
public:
    explicit Random(std::uint64_t seed)
        : state_(seed) {}

    std::uint64_t next() {
        std::uint64_t mixed = state_ += 0x9e3779b97f4a7c15U;
        mixed = (mixed ^ (mixed >> 30U)) * 0xbf58476d1ce4e5b9U;
        mixed = (mixed ^ (mixed >> 27U)) * 0x94d049bb133111ebU;
        return mixed ^ (mixed >> 31U);
    }

    // from <= x < to
    double uniform(double from, double to) {
        return from + (to - from) * (static_cast<double>(next() >> 11U) * 0x1p-53);
    }

private:
    std::uint64_t state_;
};

}  // namespace milepost::fleet
