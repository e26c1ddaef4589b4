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
    Signal signal;  // any but trouble_codes
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

// What one PUBLISH of a vehicle says.
struct Reading {
    ReadingHead head;
    std::vector<SignalValue> values;  // no signal twice
    // The trouble codes that are set, none for an empty list; nullopt if this reading does not
    // say.
    std::optional<std::vector<std::string>> trouble_codes;

    friend bool operator==(const Reading&, const Reading&) = default;
};

}  // namespace milepost::sensors
