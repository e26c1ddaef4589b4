#pragma once

#include "storage/base/time.hpp"

#include <cstddef>

namespace milepost::forward {

// How many records the next transaction may carry: as many as the link has shown that it takes in
// about a second, so that a transaction on a thin link does not outlive its time-out, and one on a
// fast link is large. Pure.
class TransactionSize {
public:
    static constexpr std::size_t records_first = 500;
    static constexpr std::size_t records_most = 100'000;

    [[nodiscard]] std::size_t records() const { return records_; }

    // One with `records` took `took` from its beginning to its commit.
    void committed(std::size_t records, Duration took);
    // One was lost: aborted, or out of time.
    void lost();

private:
    std::size_t records_ = records_first;
};

}  // namespace milepost::forward
