#pragma once

#include "sensors/signal.hpp"
#include "sensors/vehicle_id.hpp"
#include "storage/base/time.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace milepost::sensors {

struct SignalValue {
    Signal signal;  // any whose value is a number
    double value;   // finite, in the signal's unit

    friend bool operator==(const SignalValue&, const SignalValue&) = default;
};

// Who, which and when: what identifies a reading. (vehicle, seq) is never used for another one.
struct ReadingHead {
    VehicleId vehicle;
    std::uint64_t seq;  // from 1, counted by the vehicle
    Timestamp time;     // of the vehicle's clock, which may be wrong

    friend bool operator==(const ReadingHead&, const ReadingHead&) = default;
};

// What VSS says of Vehicle.LowVoltageSystemState: where the ignition key is.
enum class Ignition : std::uint8_t { undefined, lock, off, acc, on, start };

// What firmware says of itself, from payload version 2 on.
struct FirmwareInfo {
    std::string release;  // 1 to 32 of [A-Za-z0-9._-]
    std::uint64_t boot;   // which start of the vehicle's computer this is, from 1
    bool is_clock_set;    // false: `time` counts from 1970 since that start

    friend bool operator==(const FirmwareInfo&, const FirmwareInfo&) = default;
};

// What one PUBLISH of a vehicle says.
struct Reading {
    ReadingHead head;
    std::vector<SignalValue> values;  // no signal twice
    // The trouble codes that are set, none for an empty list; nullopt if this reading does not
    // say.
    std::optional<std::vector<std::string>> trouble_codes;
    std::optional<Ignition> ignition{};
    std::optional<FirmwareInfo> firmware{};  // there: payload version 2

    friend bool operator==(const Reading&, const Reading&) = default;
};

}  // namespace milepost::sensors
