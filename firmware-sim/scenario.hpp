#pragma once

#include "firmware-sim/firmware.hpp"
#include "firmware-sim/input_file.hpp"
#include "firmware-sim/radio.hpp"
#include "firmware-sim/sensor_faults.hpp"
#include "sensors/signal.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace milepost::fleet {

// Which vehicles something happens to: numbers from 1, or shares of the fleet.
class Selection {
public:
    // `all`, `7`, `1-10`, `25%` (the first quarter), `50-100%`, and several of them with commas.
    [[nodiscard]] static std::optional<Selection> parse(std::string_view text);

    // `index` from 0 to `count` - 1.
    [[nodiscard]] bool includes(std::uint32_t index, std::uint32_t count) const;

private:
    struct Range {
        double first;  // vehicles: both are in it; a share: `first` is, `last` is not
        double last;
        bool is_share;
    };

    std::vector<Range> ranges_;
};

enum class ActionKind : std::uint8_t {
    radio,       // profile
    reboot,      // off
    update,      // firmware, off
    clock_lost,  // it counts from 1970, until the vehicle is told the time
    clock_set,
    clock_drift,  // number: millionths
    ignition,     // flag: on
    cut,          // flag: connects again at once, else as a vehicle does
    same_client,  // takes the client id of the first vehicle of the selection
    own_client,
    spoil,  // how, number: share
    stick,  // signal
    spike,  // signal, number: share
    heal,   // all sensors, and no more spoiling
};

// What happens; of the fields those that its kind names.
struct Action {
    ActionKind kind{};
    const RadioProfile* profile = nullptr;
    const Firmware* firmware = nullptr;
    std::chrono::milliseconds off{0};
    double number = 0;
    bool flag = false;
    Spoiling how = Spoiling::none;
    sensors::Signal signal{};
};

struct ScenarioStep {
    std::chrono::milliseconds at;  // of the vehicles' time, since the start
    Selection who;
    Action action;
};

// What a scenario wants the fleet to be like where the command line does not say.
struct ScenarioFleet {
    std::optional<std::int64_t> vehicles;
    std::optional<double> rate;
    std::optional<bool> has_own_rates;
    std::optional<std::chrono::milliseconds> duration;
    std::optional<std::int64_t> buffer;
    std::optional<std::int64_t> flash;
    std::optional<bool> has_rtc;
    std::vector<const Firmware*> firmware;
    std::optional<std::string> drive_cycle;
};

// A timeline of what happens to a fleet, as a TOML file has it: see firmware-sim/README.md.
// Constant. It is not copied: actions point into its profiles.
class Scenario {
public:
    static constexpr std::size_t steps_max = 10'000;  // repeats counted
    static constexpr std::size_t profiles_max = 64;

    // Every mistake is an error `name:line:column: what`; the first one is told.
    [[nodiscard]] static Input<Scenario> parse(std::string_view text, const std::string& name);

    Scenario(const Scenario&) = delete;
    Scenario& operator=(const Scenario&) = delete;
    Scenario(Scenario&&) = default;
    Scenario& operator=(Scenario&&) = default;
    ~Scenario() = default;

    [[nodiscard]] const ScenarioFleet& fleet() const { return fleet_; }

    // In their order in time; those of one moment as in the file.
    [[nodiscard]] const std::vector<ScenarioStep>& steps() const { return steps_; }

private:
    friend class ScenarioReader;

    Scenario() = default;

    ScenarioFleet fleet_;
    std::list<RadioProfile> profiles_;  // the file's own; a list: they do not move
    std::vector<ScenarioStep> steps_;
};

}  // namespace milepost::fleet
