#pragma once

#include "storage/format/offsets.hpp"

#include <cstdint>
#include <vector>

namespace milepost::forward {

using storage::Offset;

// What of one partition is on its way to the upstream: everything below confirmed() has been
// confirmed without a gap, everything below next() has been sent. Pure. Confirmations in order, the
// normal case, cost O(1) and no memory.
class ForwardWindow {
public:
    ForwardWindow() = default;

    explicit ForwardWindow(Offset start)
        : confirmed_(start)
        , next_(start) {}

    // The end of the contiguous confirmed prefix: this is what may be called forwarded.
    [[nodiscard]] Offset confirmed() const { return confirmed_; }

    // The next offset to read and send.
    [[nodiscard]] Offset next() const { return next_; }

    [[nodiscard]] std::uint64_t in_flight() const { return in_flight_; }

    // A record was handed to the producer. `offset` >= next(); what lies between is not in the log.
    void sent(Offset offset);
    // Nothing is left to be sent below `offset`.
    void skip_to(Offset offset);
    // The upstream has a record that was sent. True if confirmed() moved.
    bool confirm(Offset offset);
    // A record that was sent will not arrive: confirmed() stays below it until rewind().
    void fail(Offset offset);
    // Back to confirmed(); for when nothing is in flight any more.
    void rewind();

private:
    struct Range {
        Offset first;
        Offset end;
    };

    void settle(Offset first, Offset end);

    Offset confirmed_;
    Offset next_;
    std::uint64_t in_flight_ = 0;
    std::vector<Range> ahead_;  // done above confirmed_: sorted, apart from each other
};

}  // namespace milepost::forward
