#pragma once

#include "gateway/admin/snapshot.hpp"
#include "gateway/admin/sources.hpp"

#include <cstddef>
#include <string>
#include <string_view>

namespace milepost::admin {

// Everything in Prometheus' text format 0.0.4. No label holds a vehicle or a client id.
[[nodiscard]] std::string metrics_text(const Sources& sources, Moment now);

// Appends one histogram whose buckets' bounds are powers of two; `unit` converts a recorded value
// (1e-6: microseconds to seconds). Buckets [first, last] are written and +Inf.
struct HistogramRange {
    std::size_t first = 0;
    std::size_t last = 0;
    double unit = 1;
};

void append_histogram(
    std::string& to,
    std::string_view name,
    std::string_view help,
    const Histogram& histogram,
    HistogramRange range
);

}  // namespace milepost::admin
