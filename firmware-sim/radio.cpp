#include "firmware-sim/radio.hpp"

#include <array>

namespace milepost::fleet {

std::span<const RadioProfile> radio_profiles() {
    using namespace std::chrono_literals;
    static const std::array<RadioProfile, 5> profiles{{
        {.name = "clear"},
        {
            .name = "city",
            .delay = {40ms, 120ms},
            .loss = 0.005,
            .covered = {60s, 240s},
            .gone = {500ms, 3s},
        },
        {
            .name = "motorway",
            .delay = {50ms, 200ms},
            .loss = 0.01,
            .covered = {30s, 120s},
            .gone = {1s, 8s},
        },
        {.name = "tunnel", .gone = {1s, 1s}},
        {
            .name = "garage",
            .delay = {300ms, 1500ms},
            .loss = 0.2,
            .covered = {2s, 6s},
            .gone = {5s, 30s},
        },
    }};
    return profiles;
}

}  // namespace milepost::fleet
