#pragma once

#include "firmware-sim/random.hpp"
#include "sensors/reading.hpp"

#include <array>
#include <bitset>
#include <cstdint>
#include <string>
#include <vector>

namespace milepost::fleet {

// Sensors that say the same for ever, and sensors that now and then say what cannot be. Pure.
class SensorFaults {
public:
    explicit SensorFaults(std::uint64_t seed)
        : random_(seed) {}

    // From the next reading on the sensor says what it then says.
    void stick(sensors::Signal signal);

    // A value in so many (0 to 1) is far outside what is plausible.
    void spike(sensors::Signal signal, double share);

    void heal(sensors::Signal signal);
    void heal_all();

    // What the sensors make of the true values.
    void apply(std::vector<sensors::SignalValue>& values);

private:
    enum class Fault : std::uint8_t { none, sticks, is_stuck, spikes };

    struct State {
        Fault fault = Fault::none;
        double number = 0;  // the value that it is stuck at; the share of spikes
    };

    Random random_;
    std::array<State, sensors::signal_count> states_{};
    int faults_ = 0;  // others than none
};

// How a payload is spoiled on its way through bad firmware.
enum class Spoiling : std::uint8_t { none, truncated, garbage };

// What goes out instead of `payload`: nothing that can be taken for a reading.
[[nodiscard]] std::string spoiled(Spoiling how, const std::string& payload, Random& random);

}  // namespace milepost::fleet
