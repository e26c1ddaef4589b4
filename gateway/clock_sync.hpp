#pragma once

#include "storage/base/time.hpp"

#include <chrono>

namespace milepost {

// What adjtimex(2) returned, read: only a clock state other than TIME_ERROR is synchronised; -1,
// where asking is forbidden (a seccomp filter), is not. Pure.
[[nodiscard]] bool says_synced(int adjtimex_result);

// Whether the kernel says that its wall clock is synchronised (adjtimex(2)); a small machine
// without a battery-backed clock starts in 1970. Once it is, it stays so here. Thread: one.
class ClockSync {
public:
    // `required` false: always synchronised (tests, benchmarks, sites without NTP).
    explicit ClockSync(bool required)
        : is_synced_(!required) {}

    // Asks the kernel at most once in ten seconds.
    [[nodiscard]] bool is_synced(Instant now);

private:
    static constexpr std::chrono::seconds ask_interval{10};

    bool is_synced_;
    Instant ask_at_{};
};

}  // namespace milepost
