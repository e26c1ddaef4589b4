#include "firmware-sim/vehicle.hpp"

#include "sensors/payload.hpp"
#include "storage/base/check.hpp"

#include <chrono>
#include <utility>

namespace milepost::fleet {

namespace {

using sensors::Signal;
using sensors::SignalValue;

// How often firmware reads what changes slowly.
constexpr std::int64_t second_signals_every_ms = 1000;
constexpr std::int64_t slow_signals_every_ms = 10'000;

}  // namespace

Vehicle::Vehicle(const Route& route, VehicleSetup setup)
    : id_(std::move(setup.id))
    , cycle_(route, setup.seed)
    , outbox_(setup.readings_max)
    , next_seq_(setup.first_seq) {}

Vehicle::Sampled Vehicle::sample(Timestamp now) {
    if (last_sample_) cycle_.advance(std::chrono::milliseconds{now - *last_sample_});
    last_sample_ = now;
    const sensors::Reading reading = take_reading(now);
    std::string payload;
    const auto written = sensors::append_payload(reading, payload);
    MILEPOST_CHECK(written.has_value());  // our own readings keep to the limits
    const std::uint64_t seq = next_seq_++;
    return {.seq = seq, .dropped = outbox_.push(seq, std::move(payload))};
}

void Vehicle::connected(bool session_present, std::size_t window) {
    if (!session_present) outbox_.take_back_all();
    window_ = window;
}

const Outbox::Entry* Vehicle::next_publish() const {
    return outbox_.handed() < window_ ? outbox_.next_waiting() : nullptr;
}

sensors::Reading Vehicle::take_reading(Timestamp now) {
    const DriveState& state = cycle_.state();
    const bool burns = cycle_.drive() == Drive::combustion;
    sensors::Reading reading{
        .head = {.vehicle = id_, .seq = next_seq_, .time = now},
        .values = {},
        .trouble_codes = std::nullopt,
    };
    auto& values = reading.values;
    values.reserve(sensors::signal_count);
    add(values, Signal::speed, state.speed);
    add(values, Signal::latitude, state.place.latitude);
    add(values, Signal::longitude, state.place.longitude);
    add(values, Signal::heading, state.place.heading);
    add(values, Signal::acceleration_longitudinal, state.acceleration_longitudinal);
    add(values, Signal::acceleration_lateral, state.acceleration_lateral);
    add(values, Signal::acceleration_vertical, state.acceleration_vertical);
    if (burns) add(values, Signal::engine_speed, state.engine_speed);
    if (is_due(last_second_, now, second_signals_every_ms)) {
        add(values, Signal::altitude, state.place.altitude);
        if (burns) add(values, Signal::coolant_temperature, state.coolant_temperature);
        add(values, burns ? Signal::fuel_level : Signal::battery_charge, state.energy_level);
        add(values, Signal::battery_voltage, state.battery_voltage);
        add(values, Signal::odometer, state.odometer);
        add(values, Signal::ambient_temperature, state.ambient_temperature);
    }
    const bool slow = is_due(last_slow_, now, slow_signals_every_ms);
    if (slow) {
        add(values, Signal::tyre_front_left, state.tyres[0]);
        add(values, Signal::tyre_front_right, state.tyres[1]);
        add(values, Signal::tyre_rear_left, state.tyres[2]);
        add(values, Signal::tyre_rear_right, state.tyres[3]);
    }
    if (slow || state.trouble_codes != last_codes_) {
        reading.trouble_codes = state.trouble_codes;
        last_codes_ = state.trouble_codes;
    }
    return reading;
}

bool Vehicle::is_due(std::optional<Timestamp>& last, Timestamp now, std::int64_t every_ms) {
    if (last && now - *last < every_ms) return false;
    last = now;
    return true;
}

void Vehicle::add(std::vector<SignalValue>& values, Signal signal, double value) const {
    values.push_back({.signal = signal, .value = sensors::rounded(signal, value)});
}

}  // namespace milepost::fleet
