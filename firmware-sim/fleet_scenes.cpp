#include "firmware-sim/fleet.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <utility>

// What a scenario does to a fleet.
namespace milepost::fleet {

void Fleet::play_until(Duration since_start) {
    if (!settings_.scenario) return;
    const auto& steps = settings_.scenario->steps();
    for (; next_step_ < steps.size() && steps[next_step_].at <= since_start; ++next_step_)
        play(steps[next_step_]);
}

Instant Fleet::next_step() const {
    if (!settings_.scenario) return Instant::max();
    const auto& steps = settings_.scenario->steps();
    return next_step_ < steps.size() ? clock_.moment(steps[next_step_].at) : Instant::max();
}

void Fleet::play(const ScenarioStep& step) {
    std::uint32_t first = settings_.vehicles;
    for (std::uint32_t i = 0; i < settings_.vehicles; ++i) {
        if (!step.who.includes(i, settings_.vehicles)) continue;
        first = std::min(first, i);
        act(i, first, step);
    }
}

void Fleet::act(std::uint32_t index, std::uint32_t first, const ScenarioStep& step) {
    Member& member = members_[index];
    Vehicle& vehicle = member.vehicle;
    const Action& action = step.action;
    const Timestamp now = clock_.stamp(step.at);
    switch (action.kind) {
        case ActionKind::radio:
            member.radio->tune(*action.profile, monotonic_now());
            watch_radio(index);
            break;
        case ActionKind::update: vehicle.install(*action.firmware); [[fallthrough]];
        case ActionKind::reboot: reboot(index, step); break;
        case ActionKind::clock_lost: vehicle.clock().forget(now, vehicle.until_told()); break;
        case ActionKind::clock_set: vehicle.clock().set(now); break;
        case ActionKind::clock_drift: vehicle.clock().drift(now, action.number); break;
        case ActionKind::ignition: vehicle.turn_ignition(action.flag); break;
        case ActionKind::cut:
            member.connects_at_once = action.flag && member.state == LinkState::online;
            member.radio->cut();
            break;
        case ActionKind::same_client: identify(index, first); break;
        case ActionKind::own_client: identify(index, index); break;
        case ActionKind::spoil: vehicle.spoil(action.how, action.number); break;
        case ActionKind::stick: vehicle.faults().stick(action.signal); break;
        case ActionKind::spike: vehicle.faults().spike(action.signal, action.number); break;
        case ActionKind::heal:
            vehicle.faults().heal_all();
            vehicle.spoil(Spoiling::none, 0);
            break;
    }
}

void Fleet::reboot(std::uint32_t index, const ScenarioStep& step) {
    Member& member = members_[index];
    const Timestamp wall = wall_now();
    const auto gone = member.vehicle.reboot(clock_.stamp(step.at), step.action.off);
    tally_.dropped_reboot += gone.size();
    for (const std::uint64_t seq : gone)
        drop(member, seq, "reboot", wall);
    member.radio->abandon();
    lose(member);
    member.off_until = clock_.moment(step.at + step.action.off);
    retries_.emplace(member.off_until, index);
    watch_radio(index);
}

// Somebody copied a configuration: a vehicle that calls itself as another one does.
void Fleet::identify(std::uint32_t index, std::uint32_t as) {
    Member& member = members_[index];
    const std::string& id = member.vehicle.id().text();
    member.radio->replace(make_link_(index, {id, members_[as].vehicle.id().text()}));
    lose(member);
    connect_later(index, monotonic_now());
}

// The connection is gone, and nobody will say so.
void Fleet::lose(Member& member) {
    if (member.state == LinkState::online) {
        --online_;
        ++tally_.connections_lost;
    }
    member.state = LinkState::offline;
    member.vehicle.disconnected();
}

void Fleet::watch_radio(std::uint32_t index) {
    Member& member = members_[index];
    const Instant next = member.radio->next_turn();
    if (next >= member.radio_turn) return;  // looked at before anyway
    member.radio_turn = next;
    radio_turns_.emplace(next, index);
}

void Fleet::turn_radios(Instant now) {
    while (!radio_turns_.empty() && radio_turns_.top().first <= now) {
        const auto [at, index] = radio_turns_.top();
        radio_turns_.pop();
        Member& member = members_[index];
        if (member.radio_turn != at) continue;
        member.radio_turn = Instant::max();
        const bool is_back = member.radio->turn(now);
        if (is_back && member.state == LinkState::offline && member.off_until <= now) {
            connect(index, now);
        }
        watch_radio(index);
    }
}

}  // namespace milepost::fleet
