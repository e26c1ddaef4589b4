#include "firmware-sim/drive_cycle.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>

namespace milepost::fleet {

namespace {

constexpr double step_s = std::chrono::duration<double>(DriveCycle::step).count();

// A middle-sized car.
constexpr double mass = 1600;               // kg
constexpr double rolling_resistance = 170;  // N
constexpr double drag = 0.42;               // N per (m/s)^2
constexpr double accessories = 600;         // W, always
constexpr double acceleration_max = 2.2;    // m/s^2
constexpr double braking_max = 3.0;
constexpr double jerk_max = 1.5;          // m/s^3
constexpr double tank_energy = 480e6;     // J: 50 l of petrol at 30 %
constexpr double battery_energy = 200e6;  // J: 60 kWh at 92 %
constexpr double refill_at = 0.08;        // of the capacity; refilled at the next stop
constexpr double refill_to = 0.95;

// Engine: idle, the six gears in rpm per m/s, and where the box shifts.
constexpr double idle_rpm = 800;
constexpr std::array<double, 6> rpm_per_speed{455, 265, 178, 130, 100, 82};
constexpr double shift_up_rpm = 2700;
constexpr double shift_down_rpm = 1350;

constexpr double coolant_open = 90;  // Celsius, where the thermostat holds it
constexpr double kelvin = 273.15;
constexpr double mean_altitude = 560;       // m
constexpr double lapse = 0.0065;            // K per m
constexpr double trouble_every = 4 * 3600;  // s, on average
constexpr double trouble_lasts = 600;       // s, on average
constexpr std::array<const char*, 6> trouble{"P0301", "P0420", "P0171", "C0035", "B1342", "U0100"};

// Moves a value towards another with a time constant in seconds.
double towards(double value, double goal, double time_constant) {
    return value + (goal - value) * std::min(1.0, step_s / time_constant);
}

}  // namespace

DriveCycle::DriveCycle(const Route& route, std::uint64_t seed)
    : route_(&route)
    , random_(seed)
    , drive_(uniform(0, 1) < 0.6 ? Drive::combustion : Drive::battery)
    , driven_(uniform(0, route.length()))
    , energy_capacity_(drive_ == Drive::combustion ? tank_energy : battery_energy)
    , energy_(energy_capacity_ * uniform(0.3, refill_to))
    , morning_temperature_(uniform(-5, 28)) {
    state_.odometer = std::floor(uniform(5e6, 120e6));
    for (double& tyre : cold_tyres_)
        tyre = uniform(225, 245);
    state_.coolant_temperature = morning_temperature_;
    state_.battery_voltage = 12.5;
    take_step();
}

void DriveCycle::advance(std::chrono::milliseconds elapsed) {
    left_over_ += elapsed;
    while (left_over_ >= step) {
        left_over_ -= step;
        take_step();
    }
}

void DriveCycle::take_step() {
    if (seconds_ >= target_until_) choose_target();
    const double before = state_.acceleration_longitudinal;
    double acceleration =
        std::clamp(wanted_acceleration(), before - jerk_max * step_s, before + jerk_max * step_s);
    double speed_after = speed_ + acceleration * step_s;
    if (speed_after <= 0.02 && target_speed_ == 0) speed_after = 0;  // the last centimetre
    speed_after = std::max(0.0, speed_after);
    acceleration = (speed_after - speed_) / step_s;

    const double distance = (speed_ + speed_after) / 2 * step_s;
    speed_ = speed_after;
    driven_ += distance;
    seconds_ += step_s;
    state_.odometer += distance;
    state_.speed = speed_ * 3.6;
    state_.acceleration_longitudinal = speed_ > 0 ? acceleration : 0;
    state_.place = route_->at(driven_);
    state_.acceleration_lateral = speed_ * speed_ * state_.place.curvature;
    state_.acceleration_vertical = uniform(-0.02, 0.02) * (1 + speed_);
    state_.ambient_temperature = morning_temperature_ -
                                 lapse * (state_.place.altitude - mean_altitude) +
                                 4 * std::sin(seconds_ / 14'000);

    const double force = mass * acceleration + (speed_ > 0 ? rolling_resistance : 0) +
                         drag * speed_ * speed_;
    const double power = force * speed_;
    turn_the_engine(power);
    use_energy(power);
    warm_up(power);
    wear();
}

// Town, country road and motorway, with stops between; each for a while.
void DriveCycle::choose_target() {
    const double kind = uniform(0, 1);
    const bool was_standing = target_speed_ == 0;
    const bool must_refill = energy_ < refill_at * energy_capacity_;
    if (!was_standing && (kind < 0.25 || must_refill)) {
        target_speed_ = 0;
        target_until_ = seconds_ + uniform(12, 45);
    } else if (kind < 0.6) {
        target_speed_ = uniform(28, 55) / 3.6;
        target_until_ = seconds_ + uniform(20, 90);
    } else if (kind < 0.85) {
        target_speed_ = uniform(70, 102) / 3.6;
        target_until_ = seconds_ + uniform(40, 180);
    } else {
        target_speed_ = uniform(105, 132) / 3.6;
        target_until_ = seconds_ + uniform(60, 300);
    }
}

// What the driver asks for: gently near the target, never more than the car or comfort gives.
double DriveCycle::wanted_acceleration() const {
    const double pull = acceleration_max * (1 - speed_ / 60);  // less at speed
    return std::clamp((target_speed_ - speed_) * 0.5, -braking_max, pull);
}

void DriveCycle::turn_the_engine(double power) {
    const bool charging = drive_ == Drive::battery || speed_ > 0 || seconds_ > 2;
    state_.battery_voltage = towards(state_.battery_voltage, charging ? 14.2 : 12.5, 4);
    if (drive_ == Drive::battery) return;
    const auto rpm_in = [this](int gear) {
        return speed_ * rpm_per_speed[static_cast<std::size_t>(gear - 1)];
    };
    const double later = power > 30'000 ? 900 : 0;  // shifts later under load
    if (gear_ < 6 && rpm_in(gear_) > shift_up_rpm + later) ++gear_;
    if (gear_ > 1 && rpm_in(gear_) < shift_down_rpm) --gear_;
    state_.engine_speed = std::max(idle_rpm, rpm_in(gear_));
}

void DriveCycle::use_energy(double power) {
    // A battery takes some of the braking back; an engine cannot.
    const double recovered = drive_ == Drive::battery ? 0.6 : 0.0;
    energy_ -= ((power > 0 ? power : power * recovered) + accessories) * step_s;
    energy_ = std::clamp(energy_, 0.0, energy_capacity_);
    if (energy_ < refill_at * energy_capacity_ && speed_ == 0) {
        energy_ = refill_to * energy_capacity_;
    }
    state_.energy_level = 100 * energy_ / energy_capacity_;
}

void DriveCycle::warm_up(double power) {
    const double ambient = state_.ambient_temperature;
    const double heat = 0.35 + std::max(0.0, power) / 40'000;  // relative to 26 kW
    const double goal = coolant_open + (heat > 1.5 ? std::min(8.0, heat) : 0.0);
    const double time_constant = state_.coolant_temperature < coolant_open ? 420 / heat : 60;
    state_.coolant_temperature = towards(state_.coolant_temperature, goal, time_constant);

    tyre_warmth_ = towards(tyre_warmth_, speed_ * 0.8, 900);
    for (std::size_t i = 0; i < cold_tyres_.size(); ++i) {
        // Filled at 20 Celsius: the pressure (absolute) follows the temperature.
        const double temperature = kelvin + ambient + tyre_warmth_;
        state_.tyres[i] = (cold_tyres_[i] + 101.3) * temperature / (kelvin + 20) - 101.3;
    }
}

// Trouble codes come seldom, stay for a while and go.
void DriveCycle::wear() {
    auto& codes = state_.trouble_codes;
    if (codes.empty()) {
        if (uniform(0, trouble_every) >= step_s) return;
        const double pick = uniform(0, static_cast<double>(trouble.size()));
        codes.emplace_back(trouble[std::min(static_cast<std::size_t>(pick), trouble.size() - 1)]);
    } else if (uniform(0, trouble_lasts) < step_s) {
        codes.clear();
    }
}

}  // namespace milepost::fleet
