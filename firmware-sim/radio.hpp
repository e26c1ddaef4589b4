#pragma once

#include <chrono>
#include <span>
#include <string>

namespace milepost::fleet {

// A stretch of time between two bounds.
struct TimeSpan {
    std::chrono::milliseconds min{0};
    std::chrono::milliseconds max{0};
};

// What a place does to a vehicle's connection, in the vehicles' time.
struct RadioProfile {
    std::string name;
    TimeSpan delay{};  // the way there and back
    double loss = 0;   // share of packets, 0 to 0.9: each waits for TCP to send it again
    // Coverage comes and goes: for so long there, for so long away. Never away if `gone` is 0,
    // never there if `covered` is 0 and `gone` is not.
    TimeSpan covered{};
    TimeSpan gone{};

    [[nodiscard]] bool is_always_covered() const { return gone.max.count() == 0; }

    [[nodiscard]] bool is_never_covered() const {
        return gone.max.count() > 0 && covered.max.count() == 0;
    }
};

// clear, city, motorway, tunnel, garage; alive for ever.
[[nodiscard]] std::span<const RadioProfile> radio_profiles();

}  // namespace milepost::fleet
