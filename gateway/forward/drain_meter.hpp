#pragma once

#include "storage/base/time.hpp"

#include <cstdint>
#include <optional>

namespace milepost::forward {

// How long a backlog takes to be gone, from how it shrank lately: what comes in meanwhile is
// counted. Pure.
class DrainMeter {
public:
    // From time to time.
    void update(Instant now, std::int64_t backlog);

    // nullopt: it does not shrink, or that is not known yet.
    [[nodiscard]] std::optional<double> seconds() const;

private:
    std::optional<Instant> at_{};
    std::int64_t backlog_ = 0;
    double records_per_s_ = 0;  // that it shrinks by, smoothed
};

}  // namespace milepost::forward
