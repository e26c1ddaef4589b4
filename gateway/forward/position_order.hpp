#pragma once

#include "storage/base/time.hpp"

#include <optional>

namespace milepost::forward {

// Whether a transaction sends its positions before its records. First, their two round trips are
// waited for, and the broker that has just ended the last transaction is ready meanwhile; last,
// they hide behind the records. So it depends on what they take on a connection that is idle
// otherwise, which only one that goes first shows. Pure.
class PositionOrder {
public:
    // For the next transaction.
    [[nodiscard]] bool next_is_first();
    // Positions that went first took so long.
    void took(Duration sending);

private:
    bool is_first_ = true;
    std::optional<Duration> sending_{};
    int last_ones_ = 0;  // since one went first
};

}  // namespace milepost::forward
