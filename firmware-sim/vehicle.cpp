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
constexpr std::int64_t store_every_ms = 5000;  // flash wears: not each reading by itself

// The network and satellites take a while to tell the time.
std::chrono::milliseconds until_told(std::uint64_t seed) {
    return std::chrono::milliseconds{5000 + static_cast<int>(Random{seed + 2}.next() % 15'000)};
}

}  // namespace

Vehicle::Vehicle(const Route& route, const VehicleSetup& setup)
    : id_(setup.id)
    , cycle_(route, setup.seed, setup.drive)
    , outbox_(setup.readings_max)
    , faults_(setup.seed + 3)
    , spoiler_(setup.seed + 4)
    , firmware_(setup.firmware != nullptr ? setup.firmware : &firmware_releases().front())
    , next_seq_(setup.first_seq)
    , flash_max_(setup.flash_max)
    , has_own_rates_(setup.has_own_rates)
    , has_rtc_(setup.has_rtc)
    , until_told_(fleet::until_told(setup.seed)) {}

Vehicle::Sampled Vehicle::sample(Timestamp now) {
    if (last_sample_) {
        cycle_.advance(std::chrono::milliseconds{now - *last_sample_});
    } else if (!has_rtc_) {
        clock_.forget(now, until_told_);
    }
    last_sample_ = now;
    if (off_until_ && now < *off_until_) return {};
    off_until_.reset();
    if (flash_max_ > 0 && is_due(last_stored_, now, store_every_ms)) outbox_.store(flash_max_);
    const Due due = find_due(now);
    const sensors::Reading reading = take_reading(now, due);
    if (reading.values.empty() && !reading.trouble_codes && !reading.ignition) return {};
    std::string payload;
    const auto written = sensors::append_payload(reading, payload);
    MILEPOST_CHECK(written.has_value());  // our own readings keep to the limits
    const std::uint64_t seq = next_seq_++;
    if (spoiling_ != Spoiling::none && spoiler_.uniform(0, 1) < spoiled_share_) {
        return {
            .seq = seq,
            .spoiling = spoiling_,
            .instead = spoiled(spoiling_, payload, spoiler_),
        };
    }
    return {.seq = seq, .dropped = outbox_.push(seq, std::move(payload))};
}

std::vector<std::uint64_t> Vehicle::reboot(Timestamp now, std::chrono::milliseconds off) {
    window_ = 0;
    off_until_ = now + off.count();
    ++boot_;
    last_second_.reset();
    last_slow_.reset();
    last_ignition_.reset();
    if (!has_rtc_) clock_.forget(now, off + until_told_);
    return outbox_.reboot();
}

void Vehicle::connected(bool session_present, std::size_t window) {
    if (!session_present) outbox_.take_back_all();
    window_ = window;
}

const Outbox::Entry* Vehicle::next_publish() const {
    return outbox_.handed() < window_ ? outbox_.next_waiting() : nullptr;
}

// Without ignition the computer sleeps most of the time, where each sensor has its own rate.
Vehicle::Due Vehicle::find_due(Timestamp now) {
    const DriveState& state = cycle_.state();
    const bool is_awake = !has_own_rates_ || state.is_ignited;
    const bool second = is_awake && is_due(last_second_, now, second_signals_every_ms);
    const bool slow = is_due(last_slow_, now, slow_signals_every_ms);
    const bool has_turned = last_ignition_ != state.is_ignited;
    Due due{
        .motion = has_own_rates_ ? second : true,
        .second = second,
        .slow = slow,
        .codes = slow || state.trouble_codes != last_codes_,
        .ignition = firmware_->has_ignition_sensor && (slow || has_turned),
    };
    last_ignition_ = state.is_ignited;
    if (due.codes) last_codes_ = state.trouble_codes;
    return due;
}

sensors::Reading Vehicle::take_reading(Timestamp now, const Due& due) {
    const DriveState& state = cycle_.state();
    const bool burns = cycle_.drive() != Drive::battery;
    sensors::Reading reading{
        .head = {.vehicle = id_, .seq = next_seq_, .time = clock_.read(now)},
        .values = {},
        .trouble_codes = std::nullopt,
    };
    auto& values = reading.values;
    values.reserve(sensors::signal_count);
    if (due.motion) {
        add(values, Signal::speed, state.speed);
        add(values, Signal::latitude, state.place.latitude);
        add(values, Signal::longitude, state.place.longitude);
        add(values, Signal::heading, state.place.heading);
    }
    if (!has_own_rates_ || state.is_ignited) {
        add(values, Signal::acceleration_longitudinal, state.acceleration_longitudinal);
        add(values, Signal::acceleration_lateral, state.acceleration_lateral);
        add(values, Signal::acceleration_vertical, state.acceleration_vertical);
    }
    if (burns && due.motion) add(values, Signal::engine_speed, state.engine_speed);
    if (due.second) {
        add(values, Signal::altitude, state.place.altitude);
        if (burns) add(values, Signal::coolant_temperature, state.coolant_temperature);
        add(values, burns ? Signal::fuel_level : Signal::battery_charge, state.energy_level);
        add(values, Signal::battery_voltage, state.battery_voltage);
        add(values, Signal::odometer, state.odometer);
        add(values, Signal::ambient_temperature, state.ambient_temperature);
    }
    if (due.slow) {
        add(values, Signal::tyre_front_left, state.tyres[0]);
        add(values, Signal::tyre_front_right, state.tyres[1]);
        add(values, Signal::tyre_rear_left, state.tyres[2]);
        add(values, Signal::tyre_rear_right, state.tyres[3]);
    }
    if (due.codes) reading.trouble_codes = state.trouble_codes;
    if (due.ignition) {
        reading.ignition = state.is_ignited ? sensors::Ignition::on : sensors::Ignition::off;
    }
    if (firmware_->payload_version > 1) {
        reading.firmware = sensors::FirmwareInfo{
            .release = std::string{firmware_->release},
            .boot = boot_,
            .is_clock_set = clock_.is_set(),
        };
    }
    faults_.apply(values);
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
