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
constexpr double gravity = 9.81;          // m/s^2
constexpr double battery_energy = 200e6;  // J: 60 kWh at 92 %
constexpr double lateral_max = 8;         // m/s^2: what the tyres hold
constexpr double refill_at = 0.08;        // of the capacity; refilled at the next stop
constexpr double refill_to = 0.95;

// An engine: idle, the six gears in rpm per m/s, where the box shifts, and what the tank gives.
struct Engine {
    double idle_rpm;
    std::array<double, 6> rpm_per_speed;
    double shift_up_rpm;
    double shift_down_rpm;
    double tank_energy;  // J at the wheels
};

// 50 l at 30 % and at 37 %.
constexpr Engine petrol{800, {455, 265, 178, 130, 100, 82}, 2700, 1350, 480e6};
constexpr Engine diesel{780, {330, 192, 129, 94, 72, 59}, 2050, 1050, 660e6};

const Engine& engine_of(Drive drive) {
    return drive == Drive::diesel ? diesel : petrol;
}

constexpr double coolant_open = 90;     // Celsius, where the thermostat holds it
constexpr double coolant_cools = 7200;  // s
constexpr double kelvin = 273.15;
constexpr double mean_altitude = 560;       // m
constexpr double lapse = 0.0065;            // K per m
constexpr double trouble_every = 4 * 3600;  // s, on average
constexpr double trouble_lasts = 600;       // s, on average

// Trouble codes: what any vehicle may have, and what only one with that drive has.
using Codes = std::array<const char*, 6>;
constexpr Codes petrol_trouble{"P0301", "P0420", "P0171", "C0035", "B1342", "U0100"};
constexpr Codes diesel_trouble{"P0401", "P2463", "P0087", "C0035", "B1342", "U0100"};
constexpr Codes battery_trouble{"P0A80", "P0AA6", "P0A0F", "C0035", "B1342", "U0100"};

const Codes& trouble_of(Drive drive) {
    return drive == Drive::petrol   ? petrol_trouble
           : drive == Drive::diesel ? diesel_trouble
                                    : battery_trouble;
}

Drive drive_of(double chance) {
    return chance < 0.4 ? Drive::petrol : chance < 0.6 ? Drive::diesel : Drive::battery;
}

// Moves a value towards another with a time constant in seconds.
double towards(double value, double goal, double time_constant) {
    return value + (goal - value) * std::min(1.0, step_s / time_constant);
}

}  // namespace

DriveCycle::DriveCycle(const Route& route, std::uint64_t seed, const DriveSettings& settings)
    : route_(&route)
    , random_(seed)
    , trace_(settings.trace)
    , drive_(drive_of(uniform(0, 1)))
    , driven_(uniform(0, route.length()))
    , energy_capacity_(0)
    , energy_(uniform(0.3, refill_to))
    , morning_temperature_(uniform(-5, 28)) {
    drive_ = settings.drive.value_or(drive_);
    energy_capacity_ = drive_ == Drive::battery ? battery_energy : engine_of(drive_).tank_energy;
    energy_ *= energy_capacity_;
    state_.odometer = std::floor(uniform(5e6, 120e6));
    for (double& tyre : cold_tyres_)
        tyre = uniform(225, 245);
    state_.coolant_temperature = morning_temperature_;
    state_.battery_voltage = 12.5;
    if (trace_ != nullptr && settings.is_staggered) {
        traced_seconds_ = std::floor(uniform(0, trace_->seconds()));
        speed_ = trace_->at(traced_seconds_).speed;
    }
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
    const double speed_after = next_speed();
    const double acceleration = (speed_after - speed_) / step_s;
    const double distance = (speed_ + speed_after) / 2 * step_s;
    speed_ = speed_after;
    driven_ += distance;
    seconds_ += step_s;
    state_.odometer += distance;
    state_.speed = speed_ * 3.6;
    state_.acceleration_longitudinal = speed_ > 0 ? acceleration : 0;
    state_.place = route_->at(driven_);
    state_.acceleration_lateral =
        std::clamp(speed_ * speed_ * state_.place.curvature, -lateral_max, lateral_max);
    state_.acceleration_vertical = uniform(-0.02, 0.02) * (state_.is_ignited ? 1 + speed_ : 0);
    state_.ambient_temperature = morning_temperature_ -
                                 lapse * (state_.place.altitude - mean_altitude) +
                                 4 * std::sin(seconds_ / 14'000);

    const double force = mass * (acceleration + gravity * state_.place.grade) +
                         (speed_ > 0 ? rolling_resistance : 0) + drag * speed_ * speed_;
    const double power = force * speed_;
    turn_the_engine(power);
    use_energy(power);
    warm_up(power);
    wear();
}

double DriveCycle::next_speed() {
    return trace_ != nullptr ? traced_speed() : chosen_speed();
}

// The trace as it is; where it stands and the driver turned the ignition off, it waits.
double DriveCycle::traced_speed() {
    if (speed_ == 0 && !is_wanted_on_) {
        state_.is_ignited = false;
        return 0;
    }
    traced_seconds_ += step_s;
    if (traced_seconds_ >= trace_->seconds()) traced_seconds_ -= trace_->seconds();
    const SpeedTrace::Place place = trace_->at(traced_seconds_);
    state_.is_ignited = place.is_ignited;
    return place.speed;
}

double DriveCycle::chosen_speed() {
    if (speed_ == 0) state_.is_ignited = is_wanted_on_;
    if (!state_.is_ignited) return 0;
    if (seconds_ >= target_until_) choose_target();
    if (!is_wanted_on_) target_speed_ = 0;
    const double before = state_.acceleration_longitudinal;
    const double acceleration =
        std::clamp(wanted_acceleration(), before - jerk_max * step_s, before + jerk_max * step_s);
    const double speed_after = speed_ + acceleration * step_s;
    if (speed_after <= 0.02 && target_speed_ == 0) return 0;  // the last centimetre
    return std::max(0.0, speed_after);
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
    const double voltage = charging && state_.is_ignited ? 14.2 : 12.5;
    state_.battery_voltage = towards(state_.battery_voltage, voltage, 4);
    state_.engine_speed = 0;
    if (drive_ == Drive::battery || !state_.is_ignited) return;
    const Engine& engine = engine_of(drive_);
    const auto rpm_in = [&](int gear) {
        return speed_ * engine.rpm_per_speed[static_cast<std::size_t>(gear - 1)];
    };
    const double later = power > 30'000 ? 900 : 0;  // shifts later under load
    if (gear_ < 6 && rpm_in(gear_) > engine.shift_up_rpm + later) ++gear_;
    if (gear_ > 1 && rpm_in(gear_) < engine.shift_down_rpm) --gear_;
    state_.engine_speed = std::max(engine.idle_rpm, rpm_in(gear_));
}

void DriveCycle::use_energy(double power) {
    // A battery takes some of the braking back; an engine cannot.
    const double recovered = drive_ == Drive::battery ? 0.6 : 0.0;
    const double others = state_.is_ignited ? accessories : 0;
    energy_ -= ((power > 0 ? power : power * recovered) + others) * step_s;
    energy_ = std::clamp(energy_, 0.0, energy_capacity_);
    if (energy_ < refill_at * energy_capacity_ && speed_ == 0) {
        energy_ = refill_to * energy_capacity_;
    }
    state_.energy_level = 100 * energy_ / energy_capacity_;
}

void DriveCycle::warm_up(double power) {
    const double ambient = state_.ambient_temperature;
    const double heat = 0.35 + std::max(0.0, power) / 40'000;  // relative to 26 kW
    const double open = coolant_open + (heat > 1.5 ? std::min(8.0, heat) : 0.0);
    const double goal = state_.is_ignited ? open : ambient;
    const double warming = state_.coolant_temperature < coolant_open ? 420 / heat : 60;
    const double time_constant = state_.is_ignited ? warming : coolant_cools;
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
        const Codes& trouble = trouble_of(drive_);
        const double pick = uniform(0, static_cast<double>(trouble.size()));
        codes.emplace_back(trouble[std::min(static_cast<std::size_t>(pick), trouble.size() - 1)]);
    } else if (uniform(0, trouble_lasts) < step_s) {
        codes.clear();
    }
}

}  // namespace milepost::fleet
