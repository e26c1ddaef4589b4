#pragma once

#include "sensors/payload.hpp"
#include "sensors/signal.hpp"
#include "sensors/vehicle_id.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <string_view>

// What the two sides of a payload have in common: the writer and the parser.
namespace milepost::sensors {

inline constexpr std::uint64_t version_plain = 1;
inline constexpr std::uint64_t version_firmware = 2;  // the firmware says which it is

// As VSS writes them, in the order of the enumeration.
inline constexpr std::array<std::string_view, 6> ignition_names{
    "UNDEFINED",
    "LOCK",
    "OFF",
    "ACC",
    "ON",
    "START",
};

inline constexpr std::string_view clock_set = "set";
inline constexpr std::string_view clock_unset = "unset";

static_assert(signal_count <= 32, "duplicate signals are found in a 32 bit mask");

[[nodiscard]] constexpr std::uint32_t bit(Signal signal) {
    return 1U << static_cast<unsigned>(signal);
}

// Letters, digits and hyphens: needs no escape in JSON.
[[nodiscard]] inline bool is_trouble_code(std::string_view code) {
    const auto allowed = [](char c) {
        return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
               c == '-';
    };
    return !code.empty() && code.size() <= trouble_code_bytes_max &&
           std::all_of(code.begin(), code.end(), allowed);
}

[[nodiscard]] inline bool is_release(std::string_view text) {
    return text.size() <= firmware_release_bytes_max && is_vehicle_id(text);  // the same letters
}

}  // namespace milepost::sensors
