#include "firmware-sim/duration_text.hpp"
#include "firmware-sim/scenario.hpp"

#include <fmt/format.h>
#include <toml++/toml.h>

#include <algorithm>
#include <array>
#include <utility>

// A scenario as its file has it.
namespace milepost::fleet {

namespace {

using std::chrono::milliseconds;

// Ends the reading: where and what.
struct Mistake {
    toml::source_position at;
    std::string what;
};

[[noreturn]] void complain(const toml::node& node, std::string what) {
    throw Mistake{node.source().begin, std::move(what)};
}

std::string text_of(const toml::node& node) {
    const auto text = node.value_exact<std::string>();
    if (!text) complain(node, "is not a text");
    return *text;
}

milliseconds duration_of(const toml::node& node) {
    const auto duration = parse_duration(text_of(node));
    if (!duration) complain(node, "is not a duration such as \"30s\", \"5m\" or \"500ms\"");
    return *duration;
}

double number_of(const toml::node& node, double min, double max) {
    const auto number = node.value<double>();
    if (!node.is_number() || !number || !(*number >= min && *number <= max)) {
        complain(node, fmt::format("is not a number from {} to {}", min, max));
    }
    return *number;
}

std::int64_t whole_of(const toml::node& node, std::int64_t min, std::int64_t max) {
    const auto number = node.value_exact<std::int64_t>();
    if (!number || *number < min || *number > max) {
        complain(node, fmt::format("is not a whole number from {} to {}", min, max));
    }
    return *number;
}

bool flag_of(const toml::node& node) {
    const auto flag = node.value_exact<bool>();
    if (!flag) complain(node, "is not true or false");
    return *flag;
}

const toml::table& table_of(const toml::node& node) {
    const auto* const table = node.as_table();
    if (table == nullptr) complain(node, "is not a table");
    return *table;
}

const Firmware& firmware_in(const toml::node& node) {
    const auto* const firmware = find_firmware(text_of(node));
    if (firmware == nullptr) complain(node, "there is no such release");
    return *firmware;
}

TimeSpan span_of(const toml::node& node) {
    const auto* const pair = node.as_array();
    if (pair == nullptr || pair->size() != 2) complain(node, "is not [shortest, longest]");
    const TimeSpan span{duration_of(*pair->get(0)), duration_of(*pair->get(1))};
    if (span.max < span.min) complain(node, "ends before it begins");
    return span;
}

sensors::Signal sensor_of(const toml::node& node) {
    const auto signal = sensors::find_signal(text_of(node));
    if (!signal || sensors::is_text(*signal)) complain(node, "there is no such sensor");
    return *signal;
}

}  // namespace

class ScenarioReader {
public:
    Scenario read(const toml::table& root) {
        for (const auto& [key, node] : root) {
            if (key == "title") {
                text_of(node);
            } else if (key == "fleet") {
                read_fleet(table_of(node));
            } else if (key == "radio") {
                for (const auto& [name, profile] : table_of(node))
                    read_profile(std::string{name.str()}, table_of(profile));
            } else if (key != "step") {
                complain(node, fmt::format("there is no `{}`", key.str()));
            }
        }
        if (const auto* const steps = root.get("step")) read_steps(*steps);
        std::stable_sort(
            scenario_.steps_.begin(),
            scenario_.steps_.end(),
            [](const auto& left, const auto& right) { return left.at < right.at; }
        );
        return std::move(scenario_);
    }

private:
    void read_fleet(const toml::table& table) {
        ScenarioFleet& fleet = scenario_.fleet_;
        for (const auto& [key, node] : table) {
            if (key == "vehicles") {
                fleet.vehicles = whole_of(node, 1, 10'000);
            } else if (key == "rate") {
                fleet.rate = number_of(node, 0.001, 1000);
            } else if (key == "own_rates") {
                fleet.has_own_rates = flag_of(node);
            } else if (key == "duration") {
                fleet.duration = duration_of(node);
            } else if (key == "buffer") {
                fleet.buffer = whole_of(node, 1, 10'000'000);
            } else if (key == "flash") {
                fleet.flash = whole_of(node, 0, 10'000'000);
            } else if (key == "rtc") {
                fleet.has_rtc = flag_of(node);
            } else if (key == "drive_cycle") {
                fleet.drive_cycle = text_of(node);
            } else if (key == "firmware") {
                const auto* const releases = node.as_array();
                if (releases == nullptr) complain(node, "is not a list of releases");
                for (const auto& release : *releases)
                    fleet.firmware.push_back(&firmware_in(release));
            } else {
                complain(node, fmt::format("there is no `fleet.{}`", key.str()));
            }
        }
    }

    void read_profile(const std::string& name, const toml::table& table) {
        if (scenario_.profiles_.size() == Scenario::profiles_max) complain(table, "too many");
        RadioProfile profile{.name = name};
        for (const auto& [key, node] : table) {
            if (key == "delay") {
                profile.delay = span_of(node);
            } else if (key == "loss") {
                profile.loss = number_of(node, 0, 0.9);
            } else if (key == "covered") {
                profile.covered = span_of(node);
            } else if (key == "gone") {
                profile.gone = span_of(node);
            } else {
                complain(node, fmt::format("there is no `radio.{}.{}`", name, key.str()));
            }
        }
        // A change at every moment would leave no time for anything else.
        if (!profile.is_always_covered() && profile.gone.min < milliseconds{100}) {
            complain(table, "`gone` is shorter than 100ms");
        }
        const bool alternates = !profile.is_always_covered() && !profile.is_never_covered();
        if (alternates && profile.covered.min < milliseconds{100}) {
            complain(table, "`covered` is shorter than 100ms");
        }
        scenario_.profiles_.push_back(std::move(profile));
    }

    void read_steps(const toml::node& node) {
        const auto* const steps = node.as_array();
        if (steps == nullptr) complain(node, "is not a list: write [[step]]");
        for (const auto& step : *steps)
            read_step(table_of(step));
    }

    void read_step(const toml::table& table) {
        const auto* const at = table.get("at");
        if (at == nullptr) complain(table, "has no `at`");
        const auto* const who = table.get("vehicles");
        const auto selected = Selection::parse(who != nullptr ? text_of(*who) : "all");
        if (!selected) complain(*who, "is not all, 7, 1-10, 25% or 50-100%");
        const auto* const every = table.get("every");
        const auto* const times = table.get("times");
        if ((every == nullptr) != (times == nullptr)) complain(table, "`every` needs `times`");
        const Action action = read_action(table);
        const std::int64_t count = times != nullptr
                                       ? whole_of(*times, 1, std::int64_t{Scenario::steps_max})
                                       : 1;
        const milliseconds distance = every != nullptr ? duration_of(*every) : milliseconds{0};
        milliseconds moment = duration_of(*at);
        for (std::int64_t i = 0; i < count; ++i, moment += distance) {
            if (scenario_.steps_.size() == Scenario::steps_max) complain(table, "too many steps");
            scenario_.steps_.push_back({.at = moment, .who = *selected, .action = action});
        }
    }

    // The one key of a step that says what happens, and those that belong to it.
    Action read_action(const toml::table& table) {
        constexpr std::array<std::string_view, 4> others{"at", "vehicles", "every", "times"};
        std::optional<Action> action;
        for (const auto& [key, node] : table) {
            const std::string_view name = key.str();
            if (std::find(others.begin(), others.end(), name) != others.end()) continue;
            if (name == "off" || name == "share") continue;  // of the action, below
            if (action) complain(node, "a step does one thing");
            action = action_of(name, node);
        }
        if (!action) complain(table, "a step that does nothing");
        if (const auto* const off = table.get("off")) {
            const bool has_off = action->kind == ActionKind::update;
            if (!has_off) complain(*off, "`off` belongs to `update`");
            action->off = duration_of(*off);
        }
        if (const auto* const share = table.get("share")) {
            const bool has_share = action->kind == ActionKind::spoil ||
                                   action->kind == ActionKind::spike;
            if (!has_share) complain(*share, "`share` belongs to `spoil` and `spike`");
            action->number = number_of(*share, 0, 1);
        }
        return *action;
    }

    Action action_of(std::string_view name, const toml::node& node) {
        using enum ActionKind;
        if (name == "radio") return {.kind = radio, .profile = &profile_of(node)};
        if (name == "reboot") return {.kind = reboot, .off = duration_of(node)};
        if (name == "update") {
            return {.kind = update, .firmware = &firmware_in(node), .off = milliseconds{5000}};
        }
        if (name == "drift") return {.kind = clock_drift, .number = number_of(node, -1e5, 1e5)};
        if (name == "stuck") return {.kind = stick, .signal = sensor_of(node)};
        if (name == "spike") return {.kind = spike, .number = 0.1, .signal = sensor_of(node)};
        const std::string word = text_of(node);
        const auto one_of = [&](std::string_view first, std::string_view second) {
            if (word == first || word == second) return word == first;
            complain(node, fmt::format("is neither {} nor {}", first, second));
        };
        if (name == "clock") return {.kind = one_of("lost", "set") ? clock_lost : clock_set};
        if (name == "ignition") return {.kind = ignition, .flag = one_of("on", "off")};
        if (name == "connection") return {.kind = cut, .flag = one_of("storm", "cut")};
        if (name == "client_id") return {.kind = one_of("same", "own") ? same_client : own_client};
        if (name == "sensors") {
            if (word != "healed") complain(node, "is not healed");
            return {.kind = heal};
        }
        if (name == "spoil") {
            const bool is_cut = one_of("truncated", "garbage");
            const Spoiling how = is_cut ? Spoiling::truncated : Spoiling::garbage;
            return {.kind = spoil, .number = 1, .how = how};
        }
        complain(node, fmt::format("a step cannot `{}`", name));
    }

    const RadioProfile& profile_of(const toml::node& node) {
        const std::string name = text_of(node);
        for (const RadioProfile& profile : scenario_.profiles_) {
            if (profile.name == name) return profile;
        }
        for (const RadioProfile& profile : radio_profiles()) {
            if (profile.name == name) return profile;
        }
        complain(node, "there is no such radio profile");
    }

    Scenario scenario_;
};

Input<Scenario> Scenario::parse(std::string_view text, const std::string& name) {
    const auto error = [&name](const toml::source_position& at, std::string_view what) {
        return InputError{fmt::format("{}:{}:{}: {}", name, at.line, at.column, what)};
    };
    try {
        const toml::table root = toml::parse(text, name);
        return ScenarioReader{}.read(root);
    } catch (const toml::parse_error& failure) {
        return error(failure.source().begin, failure.description());
    } catch (const Mistake& mistake) {
        return error(mistake.at, mistake.what);
    }
}

}  // namespace milepost::fleet
