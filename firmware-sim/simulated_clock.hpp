#pragma once

#include "storage/base/time.hpp"

#include <chrono>
#include <optional>
#include <string_view>

namespace milepost::fleet {

// The time that the vehicles live in: it begins at a moment of the user's choice and runs evenly,
// as fast as the machine's monotonic clock or a multiple of it; the wall clock has no say in it. So
// the same start gives the same times, whenever, wherever and how fast it is run. Pure.
class SimulatedClock {
public:
    // `speed` > 0: simulated seconds in one real second.
    SimulatedClock(Timestamp start, double speed)
        : start_(start)
        , speed_(speed) {}

    // It runs from this real moment on.
    void begin(Instant now) { began_ = now; }

    [[nodiscard]] Timestamp start() const { return start_; }

    // The simulated moment, whole milliseconds.
    [[nodiscard]] Timestamp stamp(Duration since_start) const {
        return start_ + std::chrono::duration_cast<std::chrono::milliseconds>(since_start).count();
    }

    // How long it has run, in simulated time.
    [[nodiscard]] Duration elapsed(Instant now) const;

    // The real moment at which it will have run so long. The far future for more than ten years.
    [[nodiscard]] Instant moment(Duration since_start) const;

private:
    Timestamp start_;
    double speed_;
    Instant began_{};
};

// RFC 3339: `2026-11-24T12:00:00Z`, `…+01:00`, with a fraction (cut off after milliseconds), a
// space or a small letter for the T. From 1970 to 9999; nothing for anything else.
[[nodiscard]] std::optional<Timestamp> parse_rfc3339(std::string_view text);

}  // namespace milepost::fleet
