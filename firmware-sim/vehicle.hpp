#pragma once

#include "firmware-sim/drive_cycle.hpp"
#include "firmware-sim/outbox.hpp"
#include "sensors/reading.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace milepost::fleet {

struct VehicleSetup {
    sensors::VehicleId id;
    std::uint64_t seed = 1;
    std::uint64_t first_seq = 1;        // higher when an earlier run used some
    std::size_t readings_max = 10'000;  // in the buffer
};

// One vehicle's firmware: samples its sensors, keeps readings until they are acknowledged, and says
// what to publish next. Pure: it is told the time and what happened to its connection. The same
// setup and times give the same bytes.
// Order: a reading is first published after all readings before it were, unless they were dropped;
// and what the network lost is published again in order, before anything new.
class Vehicle {
public:
    struct Sampled {
        std::uint64_t seq = 0;
        std::optional<std::uint64_t> dropped{};  // for want of room; may be seq itself
    };

    // `route` outlives the vehicle.
    Vehicle(const Route& route, VehicleSetup setup);

    // Drives on to `now` (never earlier than before) and takes a reading.
    Sampled sample(Timestamp now);

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
    [[nodiscard]] sensors::Reading take_reading(Timestamp now);
    [[nodiscard]] bool is_due(std::optional<Timestamp>& last, Timestamp now, std::int64_t every_ms);
    void add(std::vector<sensors::SignalValue>& values, sensors::Signal signal, double value) const;

    sensors::VehicleId id_;
    DriveCycle cycle_;
    Outbox outbox_;
    std::uint64_t next_seq_;
    std::size_t window_ = 0;
    std::optional<Timestamp> last_sample_;
    std::optional<Timestamp> last_second_;  // when the signals of each second were last read
    std::optional<Timestamp> last_slow_;    // and the slow ones
    std::vector<std::string> last_codes_;
};

}  // namespace milepost::fleet
