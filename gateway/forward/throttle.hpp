#pragma once

#include "storage/base/time.hpp"

#include <cstdint>
#include <optional>

namespace milepost::forward {

// What is left to a client that a broker's quota holds back: each time half of what it sent, and by
// and by more again while nobody complains. Who keeps sending at full speed into a quota has its
// connection held for ever longer times, and transactions that run out of time. Pure.
class Throttle {
public:
    // The least that is sent, so that it goes on at all; bytes a second.
    static constexpr std::uint64_t least = 1024;

    void sent(Instant now, std::uint64_t bytes);
    // A broker held an answer back for so long.
    void throttled(Instant now, Duration held);

    // Bytes a second that may be sent; 0: as much as the link takes.
    [[nodiscard]] std::uint64_t bytes_per_s(Instant now);

    // Was there a complaint lately?
    [[nodiscard]] bool is_recent(Instant now) const;

private:
    void measure(Instant now);

    double limit_ = 0;        // 0: none
    Instant raised_at_{};     // the limit is raised from here on
    Instant halved_until_{};  // complaints until then are of what was sent before the last halving
    std::optional<Instant> complained_at_;
    Instant counted_from_{};
    std::uint64_t counted_ = 0;
    double measured_ = 0;  // bytes in the last whole second or more
};

}  // namespace milepost::forward
