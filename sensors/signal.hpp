#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace milepost::sensors {

// The signals that a reading can carry: a closed list. Names and units are those of the COVESA
// Vehicle Signal Specification 6.0. Order is that of the payload; what is text comes
// last.
enum class Signal : std::uint8_t {
    speed,
    latitude,
    longitude,
    altitude,
    heading,
    acceleration_longitudinal,
    acceleration_lateral,
    acceleration_vertical,
    engine_speed,
    coolant_temperature,
    fuel_level,
    battery_charge,
    tyre_front_left,
    tyre_front_right,
    tyre_rear_left,
    tyre_rear_right,
    battery_voltage,
    odometer,
    ambient_temperature,
    ignition,
    trouble_codes,
};

inline constexpr std::size_t signal_count = 21;

// True for the two whose value is no number.
[[nodiscard]] constexpr bool is_text(Signal signal) {
    return signal == Signal::ignition || signal == Signal::trouble_codes;
}

// The version of the vocabulary, as the payload names it.
inline constexpr std::string_view vss_version = "6.0";

struct SignalInfo {
    Signal signal;
    std::string_view name;  // VSS path
    std::string_view unit;  // as VSS writes it; empty where there is none
    double min;             // a value outside min..max is implausible (a fault of the sensor),
    double max;             // not malformed: it is kept
    int decimals;           // resolution worth sending
};

// One entry per signal, in the order of the enumeration; alive for ever.
[[nodiscard]] std::span<const SignalInfo> signals();

[[nodiscard]] const SignalInfo& info(Signal signal);

// The signal with that VSS name, or nothing.
[[nodiscard]] std::optional<Signal> find_signal(std::string_view name);

// True if the value can be true of a working sensor of a road vehicle.
[[nodiscard]] bool is_plausible(Signal signal, double value);

// The value at the resolution worth sending.
[[nodiscard]] double rounded(Signal signal, double value);

}  // namespace milepost::sensors
