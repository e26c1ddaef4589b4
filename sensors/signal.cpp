#include "sensors/signal.hpp"

#include <algorithm>
#include <array>
#include <cmath>

namespace milepost::sensors {

namespace {

using enum Signal;

// clang-format off
constexpr std::array<SignalInfo, signal_count> table{{
    {speed, "Vehicle.Speed", "km/h", -80, 400, 2},
    {latitude, "Vehicle.CurrentLocation.Latitude", "degrees", -90, 90, 7},
    {longitude, "Vehicle.CurrentLocation.Longitude", "degrees", -180, 180, 7},
    {altitude, "Vehicle.CurrentLocation.Altitude", "m", -500, 9000, 1},
    {heading, "Vehicle.CurrentLocation.Heading", "degrees", 0, 360, 1},
    {acceleration_longitudinal, "Vehicle.Acceleration.Longitudinal", "m/s^2", -20, 20, 2},
    {acceleration_lateral, "Vehicle.Acceleration.Lateral", "m/s^2", -20, 20, 2},
    {acceleration_vertical, "Vehicle.Acceleration.Vertical", "m/s^2", -30, 30, 2},
    {engine_speed, "Vehicle.Powertrain.CombustionEngine.Speed", "rpm", 0, 16383, 0},
    {coolant_temperature,
     "Vehicle.Powertrain.CombustionEngine.EngineCoolant.Temperature", "Celsius", -40, 215, 1},
    {fuel_level, "Vehicle.Powertrain.FuelSystem.RelativeLevel", "percent", 0, 100, 2},
    {battery_charge,
     "Vehicle.Powertrain.TractionBattery.StateOfCharge.Current", "percent", 0, 100, 2},
    {tyre_front_left, "Vehicle.Chassis.Axle.Row1.Wheel.Left.Tire.Pressure", "kPa", 0, 1000, 1},
    {tyre_front_right, "Vehicle.Chassis.Axle.Row1.Wheel.Right.Tire.Pressure", "kPa", 0, 1000, 1},
    {tyre_rear_left, "Vehicle.Chassis.Axle.Row2.Wheel.Left.Tire.Pressure", "kPa", 0, 1000, 1},
    {tyre_rear_right, "Vehicle.Chassis.Axle.Row2.Wheel.Right.Tire.Pressure", "kPa", 0, 1000, 1},
    {battery_voltage, "Vehicle.LowVoltageBattery.CurrentVoltage", "V", 0, 36, 2},
    {odometer, "Vehicle.TraveledDistance", "m", 0, 4294967295.0, 0},
    {ambient_temperature, "Vehicle.Exterior.AirTemperature", "Celsius", -60, 70, 1},
    {ignition, "Vehicle.LowVoltageSystemState", "", 0, 0, 0},
    {trouble_codes, "Vehicle.Diagnostics.DTCList", "", 0, 0, 0},
}};

// clang-format on

constexpr bool follows_the_enumeration() {
    for (std::size_t i = 0; i < table.size(); ++i) {
        if (static_cast<std::size_t>(table[i].signal) != i) return false;
    }
    return true;
}

static_assert(follows_the_enumeration());

constexpr std::array<double, 8> powers_of_ten{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7};

}  // namespace

std::span<const SignalInfo> signals() {
    return table;
}

const SignalInfo& info(Signal signal) {
    return table[static_cast<std::size_t>(signal)];
}

std::optional<Signal> find_signal(std::string_view name) {
    const auto* const found = std::find_if(table.begin(), table.end(), [name](const auto& entry) {
        return entry.name == name;
    });
    if (found == table.end()) return std::nullopt;
    return found->signal;
}

bool is_plausible(Signal signal, double value) {
    const SignalInfo& entry = info(signal);
    return value >= entry.min && value <= entry.max;  // false for NaN
}

double rounded(Signal signal, double value) {
    const double scale = powers_of_ten[static_cast<std::size_t>(info(signal).decimals)];
    return std::round(value * scale) / scale + 0.0;  // + 0.0 turns -0 into 0
}

}  // namespace milepost::sensors
