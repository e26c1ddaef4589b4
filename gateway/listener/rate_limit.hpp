#pragma once

#include "storage/base/time.hpp"

#include <cstdint>

namespace milepost::listener {

// What one connection may publish: a bucket of one second for messages and one for bytes. What is
// taken over it (a socket is read in large pieces) is owed, so that the rate holds. Pure.
class RateLimit {
public:
    // 0: no limit of that kind.
    RateLimit(std::uint64_t messages_per_s, std::uint64_t bytes_per_s, Instant now);

    void message() { messages_.left -= 1; }

    void bytes(std::uint64_t count) { bytes_.left -= static_cast<double>(count); }

    // How long nothing more may be read; zero: go on.
    [[nodiscard]] Duration pause(Instant now);

private:
    struct Bucket {
        double per_s = 0;  // 0: no limit
        double left = 0;

        void refill(double seconds);
        [[nodiscard]] double seconds_owed() const;
    };

    Bucket messages_;
    Bucket bytes_;
    Instant refilled_at_;
};

}  // namespace milepost::listener
