#pragma once

#include "firmware-sim/random.hpp"
#include "firmware-sim/route.hpp"
#include "firmware-sim/speed_trace.hpp"

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace milepost::fleet {

enum class Drive : std::uint8_t { petrol, diesel, battery };

struct DriveSettings {
    const SpeedTrace* trace = nullptr;  // outlives the cycle; none: an ordinary driver
    bool is_staggered = false;          // begins anywhere in the trace, else at its start
    std::optional<Drive> drive{};       // none: 40 % petrol, 20 % diesel, 40 % battery
};

// Everything that a vehicle's sensors see at one moment, unrounded, in the signals' units.
struct DriveState {
    double speed = 0;                      // km/h
    double acceleration_longitudinal = 0;  // m/s^2
    double acceleration_lateral = 0;       // m/s^2, positive to the left
    double acceleration_vertical = 0;      // m/s^2, without gravity
    double odometer = 0;                   // m
    RoutePoint place{};
    bool is_ignited = true;          // ignition: off, the engine stands and nothing is driven
    double engine_speed = 0;         // rpm; 0 with a battery
    double coolant_temperature = 0;  // Celsius
    double energy_level = 0;         // percent of the tank or the battery
    std::array<double, 4> tyres{};   // kPa: front left, front right, rear left, rear right
    double battery_voltage = 0;      // V
    double ambient_temperature = 0;  // Celsius
    std::vector<std::string> trouble_codes;
};

// A vehicle that drives, as far as its sensors tell: a longitudinal model (a driver who follows a
// speed trace, or targets of his own: town, country road, motorway, stops) moves it along a route,
// and everything else follows from speed, slope, load and time. Pure: the same seed gives the same
// drive, whatever the steps asked for.
class DriveCycle {
public:
    static constexpr std::chrono::milliseconds step{50};

    // `route` outlives the cycle.
    DriveCycle(const Route& route, std::uint64_t seed, const DriveSettings& settings = {});

    // Drives on. What is less than a step is kept for the next call.
    void advance(std::chrono::milliseconds elapsed);

    // The driver turns the ignition off where the vehicle next stands, or on again. A trace waits
    // meanwhile; where it has the ignition off itself, it stays off.
    void turn_ignition(bool is_on) { is_wanted_on_ = is_on; }

    [[nodiscard]] const DriveState& state() const { return state_; }

    [[nodiscard]] Drive drive() const { return drive_; }

private:
    void take_step();
    [[nodiscard]] double next_speed();
    [[nodiscard]] double traced_speed();
    [[nodiscard]] double chosen_speed();
    void choose_target();
    [[nodiscard]] double wanted_acceleration() const;
    void turn_the_engine(double power);
    void use_energy(double power);
    void warm_up(double power);
    void wear();

    double uniform(double from, double to) { return random_.uniform(from, to); }

    const Route* route_;
    Random random_;
    const SpeedTrace* trace_;
    Drive drive_;
    DriveState state_;
    std::chrono::milliseconds left_over_{0};
    double speed_ = 0;         // m/s
    double driven_ = 0;        // m along the route
    double target_speed_ = 0;  // m/s
    double target_until_ = 0;  // s of this drive, when the next target is chosen
    double seconds_ = 0;       // s since the beginning
    double traced_seconds_ = 0;
    bool is_wanted_on_ = true;
    double energy_capacity_;  // J at the wheels from full to empty
    double energy_;           // J left
    int gear_ = 1;
    double tyre_warmth_ = 0;  // K above ambient
    std::array<double, 4> cold_tyres_{};
    double morning_temperature_;  // Celsius at the route's mean altitude
};

}  // namespace milepost::fleet
