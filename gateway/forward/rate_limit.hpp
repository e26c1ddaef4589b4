#pragma once

#include "storage/base/time.hpp"

#include <cstddef>
#include <cstdint>

namespace milepost::forward {

// How much may be sent a second; 0: as much as the link takes.
struct Rates {
    std::uint64_t bytes_per_s = 0;  // of keys and values, before compression
    std::uint64_t records_per_s = 0;
};

// Two token buckets that hold a tenth of a second's worth. What is sent is paid for afterwards, so
// that the largest record passes too, and then waited for. Pure.
class RateLimit {
public:
    explicit RateLimit(const Rates& rates)
        : rates_(rates)
        , bounded_(rates) {}

    // What holds now: the least of what was set and of the bound.
    [[nodiscard]] const Rates& rates() const { return bounded_; }

    // Not more than so many bytes a second, whatever was set; 0: no bound.
    void bound(std::uint64_t bytes_per_s);

    // How long nothing may be sent; zero: go on.
    [[nodiscard]] Duration wait(Instant now);
    void sent(std::uint64_t records, std::uint64_t bytes);

private:
    struct Bucket {
        double tokens = 0;

        void refill(double per_s, double seconds);
        [[nodiscard]] double wait_seconds(double per_s) const;
    };

    Rates rates_;
    Rates bounded_;
    Bucket bytes_;
    Bucket records_;
    Instant filled_at_{};
};

}  // namespace milepost::forward
