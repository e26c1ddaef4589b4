#pragma once

#include <span>
#include <string_view>

namespace milepost::fleet {

// A release of the vehicles' software.
struct Firmware {
    std::string_view release;
    int payload_version;       // 1 or 2: see sensors/README.md
    bool has_ignition_sensor;  // says where the ignition key is
};

// Oldest first; alive for ever.
[[nodiscard]] std::span<const Firmware> firmware_releases();

// The one of that name, or nullptr.
[[nodiscard]] const Firmware* find_firmware(std::string_view release);

}  // namespace milepost::fleet
