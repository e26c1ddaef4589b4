#include "firmware-sim/firmware.hpp"

#include <algorithm>
#include <array>

namespace milepost::fleet {

namespace {

constexpr std::array<Firmware, 2> releases{{
    {.release = "1.4.0", .payload_version = 1, .has_ignition_sensor = false},
    {.release = "2.0.0", .payload_version = 2, .has_ignition_sensor = true},
}};

}  // namespace

std::span<const Firmware> firmware_releases() {
    return releases;
}

const Firmware* find_firmware(std::string_view release) {
    const auto* const found = std::find_if(releases.begin(), releases.end(), [&](const auto& each) {
        return each.release == release;
    });
    return found != releases.end() ? found : nullptr;
}

}  // namespace milepost::fleet
