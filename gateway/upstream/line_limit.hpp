#pragma once

#include "storage/base/time.hpp"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <utility>

namespace milepost::upstream {

// Lets a burst of lines through and then one a second; counts what it leaves out. Pure.
class LineLimit {
public:
    static constexpr double burst_lines = 20;
    static constexpr double lines_per_second = 1;

    [[nodiscard]] bool allow(Instant now) {
        const std::chrono::duration<double> since = now - last_;
        lines_ = std::min(burst_lines, lines_ + std::max(0.0, since.count()) * lines_per_second);
        last_ = now;
        if (lines_ < 1) {
            ++left_out_;
            return false;
        }
        lines_ -= 1;
        return true;
    }

    [[nodiscard]] std::uint64_t take_left_out() { return std::exchange(left_out_, 0); }

private:
    double lines_ = burst_lines;
    Instant last_{};
    std::uint64_t left_out_ = 0;
};

}  // namespace milepost::upstream
