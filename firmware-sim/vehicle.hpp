#pragma once

#include "firmware-sim/drive_cycle.hpp"
#include "firmware-sim/firmware.hpp"
#include "firmware-sim/outbox.hpp"
#include "firmware-sim/sensor_faults.hpp"
#include "firmware-sim/vehicle_clock.hpp"
#include "sensors/reading.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace milepost::fleet {

struct VehicleSetup {
    sensors::VehicleId id;
    std::uint64_t seed = 1;
    std::uint64_t first_seq = 1;         // higher when an earlier run used some
    std::size_t readings_max = 10'000;   // in the buffer
    std::size_t flash_max = 0;           // of these, kept over a reboot
    const Firmware* firmware = nullptr;  // nullptr: the oldest release
    bool has_own_rates = false;          // each sensor, instead of all at each sample
    bool has_rtc = true;                 // a clock that goes on without power
    DriveSettings drive{};
};

// One vehicle's firmware: samples its sensors, keeps readings until they are acknowledged, and says
// what to publish next. Pure: it is told the time and what happened to its connection. The same
// setup, times and calls give the same bytes.
// Order: a reading is first published after all readings before it were, unless they were dropped;
// and what the network lost is published again in order, before anything new.
class Vehicle {
public:
    struct Sampled {
        std::uint64_t seq = 0;                   // 0: no sensor was due
        std::optional<std::uint64_t> dropped{};  // for want of room; may be seq itself
        Spoiling spoiling = Spoiling::none;      // the reading is gone, and ...
        std::string instead{};                   // ... this goes out once, if it can
    };

    // `route` outlives the vehicle.
    Vehicle(const Route& route, const VehicleSetup& setup);

    // Drives on to `now` (never earlier than before) and takes a reading. With own rates call it
    // every sample_every: accelerations are then read at each call, motion and place once a second,
    // tyres every ten seconds, trouble codes and the ignition when they change.
    Sampled sample(Timestamp now);

    static constexpr std::chrono::milliseconds sample_every{100};

    // The computer stops now and is up again after `off`. What was in memory only is lost: the
    // numbers. Needs a new connection, which the gateway may know and this vehicle does not.
    std::vector<std::uint64_t> reboot(Timestamp now, std::chrono::milliseconds off);

    // Takes effect at once; firmware is changed by a reboot.
    void install(const Firmware& firmware) { firmware_ = &firmware; }

    [[nodiscard]] VehicleClock& clock() { return clock_; }

    // How long after it lost the time this vehicle is told it.
    [[nodiscard]] std::chrono::milliseconds until_told() const { return until_told_; }

    [[nodiscard]] SensorFaults& faults() { return faults_; }

    void turn_ignition(bool is_on) { cycle_.turn_ignition(is_on); }

    // That share (0 to 1) of the payloads is spoiled from now on.
    void spoil(Spoiling how, double share) {
        spoiling_ = how;
        spoiled_share_ = share;
    }

    // The connection stands. `session_present`: the gateway and the link still know the publishes
    // in flight, and the link sends them again by itself; else all of them are to be published
    // anew. `window`: how many may be in flight.
    void connected(bool session_present, std::size_t window);

    void disconnected() { window_ = 0; }

    // What to hand to the network now; nullptr if nothing, or nothing more for the moment.
    [[nodiscard]] const Outbox::Entry* next_publish() const;

    // The network took it. True if it is published for the first time.
    bool mark_published() { return outbox_.mark_handed(); }

    // Acknowledged, or refused for good. False if it was not outstanding (an answer that came
    // late).
    bool settle(std::uint64_t seq) { return outbox_.remove(seq); }

    // The network gives this one back: it will not be delivered.
    bool give_back(std::uint64_t seq) { return outbox_.take_back(seq); }

    // Readings that are neither acknowledged nor dropped.
    [[nodiscard]] std::size_t outstanding() const { return outbox_.size(); }

    [[nodiscard]] const sensors::VehicleId& id() const { return id_; }

private:
    struct Due {
        bool motion;  // at every sample, or once a second
        bool second;
        bool slow;
        bool codes;
        bool ignition;
    };

    [[nodiscard]] Due find_due(Timestamp now);
    [[nodiscard]] sensors::Reading take_reading(Timestamp now, const Due& due);
    [[nodiscard]] bool is_due(std::optional<Timestamp>& last, Timestamp now, std::int64_t every_ms);
    void add(std::vector<sensors::SignalValue>& values, sensors::Signal signal, double value) const;

    sensors::VehicleId id_;
    DriveCycle cycle_;
    Outbox outbox_;
    VehicleClock clock_;
    SensorFaults faults_;
    Random spoiler_;
    const Firmware* firmware_;
    std::uint64_t next_seq_;
    std::uint64_t boot_ = 1;
    std::size_t flash_max_;
    std::size_t window_ = 0;
    bool has_own_rates_;
    bool has_rtc_;
    Spoiling spoiling_ = Spoiling::none;
    double spoiled_share_ = 0;
    std::chrono::milliseconds until_told_;
    std::optional<Timestamp> off_until_;
    std::optional<Timestamp> last_sample_;
    std::optional<Timestamp> last_second_;  // when the signals of each second were last read
    std::optional<Timestamp> last_slow_;    // and the slow ones
    std::optional<Timestamp> last_stored_;
    std::optional<bool> last_ignition_;
    std::vector<std::string> last_codes_;
};

}  // namespace milepost::fleet
