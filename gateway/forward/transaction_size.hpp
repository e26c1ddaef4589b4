#pragma once

#include "storage/base/time.hpp"

#include <cstddef>
#include <optional>

namespace milepost::forward {

// How many records the next transaction may carry: as many as the link has shown that it takes in
// about a second, so that a transaction on a thin link does not outlive its time-out, and one on a
// fast link is large. What a transaction takes is a fixed part, some round trips, and a part for
// its records: only that one counts. Pure.
class TransactionSize {
public:
    static constexpr std::size_t records_first = 500;
    static constexpr std::size_t records_most = 100'000;

    [[nodiscard]] std::size_t records() const { return records_; }

    // One with `records` took `took` from its beginning to its commit.
    void committed(std::size_t records, Duration took);
    // One was lost `after` its beginning: aborted, or out of time; not for the sake of one topic or
    // record, which says nothing about the size.
    void lost(Duration after);

private:
    struct Full {
        std::size_t records;
        Duration took;
    };

    void work_out_fixed(const Full& full);

    std::size_t records_ = records_first;
    std::optional<Duration> fixed_{};  // what one without records would take; nullopt: not known
    std::optional<Full> last_full_{};
    int same_ones_ = 0;
};

}  // namespace milepost::forward
