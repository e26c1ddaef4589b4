#pragma once

#include "firmware-sim/backoff.hpp"
#include "firmware-sim/inbox.hpp"
#include "firmware-sim/ledger.hpp"
#include "firmware-sim/link.hpp"
#include "firmware-sim/progress.hpp"
#include "firmware-sim/radio_link.hpp"
#include "firmware-sim/route.hpp"
#include "firmware-sim/scenario.hpp"
#include "firmware-sim/simulated_clock.hpp"
#include "firmware-sim/tally.hpp"
#include "firmware-sim/tls_stream.hpp"
#include "firmware-sim/vehicle.hpp"
#include "storage/base/result.hpp"
#include "storage/base/time.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <queue>
#include <string>
#include <utility>
#include <vector>

namespace milepost::fleet {

struct FleetSettings {
    std::uint32_t vehicles = 10;
    double rate = 1;                             // readings per second per vehicle, its time
    std::chrono::milliseconds duration{30'000};  // its time; 0: until a stop is asked for
    std::chrono::milliseconds drain{30'000};     // how long to wait for the rest afterwards
    std::size_t buffer_readings = 10'000;        // on each vehicle
    std::size_t flash_readings = 0;              // of these, kept over a reboot
    std::uint64_t seed = 1;
    std::optional<Timestamp> start{};  // of the vehicles' time; none: now
    double speed = 1;                  // vehicles' seconds in one real second
    std::string id_prefix = "V";
    std::string gateway{};                       // host and port, for messages
    std::shared_ptr<const Route> route{};        // none: the shipped loop
    std::shared_ptr<const SpeedTrace> trace{};   // none: ordinary drivers
    DriveSettings drive{};                       // but for the trace, which is the one above
    std::vector<const Firmware*> firmware{};     // vehicle i has number i % size; none: the oldest
    bool has_rtc = true;                         // clocks that go on without power
    std::shared_ptr<const Scenario> scenario{};  // none: nothing happens
    bool has_own_rates = false;                  // of the sensors, instead of `rate`
    bool has_acks = true;                        // false with QoS 0: what is written is settled
};

// Vehicles that share a thread: their sampling, their buffers, their connections, the ledger.
class Fleet {
public:
    using MakeLink =
        std::function<std::unique_ptr<Link>(std::uint32_t vehicle, const LinkIdentity& identity)>;

    // `inbox` outlives the fleet. `make_link` is called in run() too. The ids must be valid: see
    // is_vehicle_id(). Vehicles that the ledger knows go on counting where it ends.
    Fleet(const FleetSettings& settings, Ledger ledger, Inbox& inbox, MakeLink make_link);

    // Runs until every reading is settled, the drain time is over or a second stop is asked for.
    // Fails only if the ledger cannot be written.
    [[nodiscard]] Result<Tally> run(Progress progress);

    // Why run() ended before its time: the gateway's TLS does not go with ours. Empty: it did not.
    [[nodiscard]] const std::string& refusal() const { return refusal_; }

private:
    enum class LinkState : std::uint8_t { offline, connecting, online };

    struct Member {
        Vehicle vehicle;
        std::unique_ptr<Link> link;
        RadioLink* radio;  // with a scenario, the link; else nullptr
        Backoff backoff;
        LinkState state = LinkState::offline;
        bool connects_at_once = false;        // after the loss that follows
        Instant connect_deadline{};           // while connecting
        Instant off_until{};                  // the computer has no power
        Instant radio_turn = Instant::max();  // when its radio is looked at
        std::vector<std::pair<std::uint64_t, Instant>> first_published;  // rising numbers
    };

    // When to look at a vehicle's connection again: to make it, or to see that it was made.
    using Retry = std::pair<Instant, std::uint32_t>;

    void add_member(std::uint32_t index);
    void sample_due(Instant now);
    void sample(std::uint32_t index, Timestamp simulated, Timestamp wall);
    void pump(Member& member);
    void publish_waiting(Member& member);

    [[nodiscard]] std::uint32_t index_of(const Member& member) const {
        return static_cast<std::uint32_t>(&member - members_.data());
    }

    void handle(const LinkEvent& event);
    void settle(Member& member, const LinkEvent& event);
    void note_tls_failure(TlsFailure failure);
    void connect(std::uint32_t index, Instant now);
    void connect_later(std::uint32_t index, Instant now);
    void retry_due(Instant now);
    void say_goodbye();
    void play_until(Duration since_start);
    void play(const ScenarioStep& step);
    void act(std::uint32_t index, std::uint32_t first, const ScenarioStep& step);
    void reboot(std::uint32_t index, const ScenarioStep& step);
    void identify(std::uint32_t index, std::uint32_t as);
    void lose(Member& member);
    void watch_radio(std::uint32_t index);
    void turn_radios(Instant now);
    void send_spoiled(Member& member, const Vehicle::Sampled& sampled, Timestamp wall);
    [[nodiscard]] Instant next_step() const;
    [[nodiscard]] bool is_over(Instant now) const;

    [[nodiscard]] bool is_sampling() const { return next_sample_ < samples_total_; }

    // How long after the vehicles' start.
    [[nodiscard]] Duration due(std::uint64_t sample) const;

    [[nodiscard]] bool is_due(std::uint64_t sample, Instant now) const {
        return clock_.moment(due(sample)) <= now;
    }

    [[nodiscard]] Instant next_deadline(const Progress& progress) const;
    void stop(Instant now);
    void note(const Member& member, std::uint64_t seq, sensors::LedgerState state, Timestamp wall);
    void drop(const Member& member, std::uint64_t seq, const std::string& reason, Timestamp wall);

    FleetSettings settings_;
    Ledger ledger_;
    Inbox* inbox_;
    MakeLink make_link_;
    std::vector<Member> members_;
    std::priority_queue<Retry, std::vector<Retry>, std::greater<>> retries_;
    std::priority_queue<Retry, std::vector<Retry>, std::greater<>> radio_turns_;
    std::size_t next_step_ = 0;
    std::vector<LinkEvent> events_;
    Tally tally_;
    std::size_t online_ = 0;
    // Sample n is taken by vehicle n % vehicles, all at even distances in time.
    double sample_distance_s_;
    std::uint64_t next_sample_ = 0;
    std::uint64_t samples_total_;
    Instant last_sampled_{};
    Instant started_{};
    SimulatedClock clock_;
    Instant drain_until_ = Instant::max();
    bool is_aborted_ = false;
    bool has_connected_ = false;              // a vehicle, ever
    std::vector<TlsFailure> tls_failures_{};  // each kind once
    std::string messages_;                    // lines that are not on stderr yet
    std::string refusal_;
};

// V0001, V0002 …: four digits or as many as the largest number needs.
[[nodiscard]] std::string vehicle_name(
    const std::string& prefix,
    std::uint32_t index,
    std::uint32_t count
);

}  // namespace milepost::fleet
