#include "firmware-sim/sensor_faults.hpp"

#include "sensors/signal.hpp"

#include <algorithm>
#include <cstddef>

namespace milepost::fleet {

namespace {

constexpr std::size_t garbage_bytes_max = 600;

std::size_t index_of(sensors::Signal signal) {
    return static_cast<std::size_t>(signal);
}

}  // namespace

void SensorFaults::stick(sensors::Signal signal) {
    heal(signal);
    states_[index_of(signal)] = {.fault = Fault::sticks};
    ++faults_;
}

void SensorFaults::spike(sensors::Signal signal, double share) {
    heal(signal);
    states_[index_of(signal)] = {.fault = Fault::spikes, .number = share};
    ++faults_;
}

void SensorFaults::heal(sensors::Signal signal) {
    State& state = states_[index_of(signal)];
    if (state.fault != Fault::none) --faults_;
    state = {};
}

void SensorFaults::heal_all() {
    states_.fill({});
    faults_ = 0;
}

void SensorFaults::apply(std::vector<sensors::SignalValue>& values) {
    if (faults_ == 0) return;
    for (auto& [signal, value] : values) {
        State& state = states_[index_of(signal)];
        switch (state.fault) {
            case Fault::none: break;
            case Fault::sticks: state = {.fault = Fault::is_stuck, .number = value}; break;
            case Fault::is_stuck: value = state.number; break;
            case Fault::spikes: {
                if (random_.uniform(0, 1) >= state.number) break;
                const auto& info = sensors::info(signal);
                const double beyond = (info.max - info.min) * random_.uniform(0.1, 2);
                const bool is_up = random_.uniform(0, 1) < 0.5;
                value = sensors::rounded(signal, is_up ? info.max + beyond : info.min - beyond);
                break;
            }
        }
    }
}

std::string spoiled(Spoiling how, const std::string& payload, Random& random) {
    if (how == Spoiling::none) return payload;
    if (how == Spoiling::truncated) {
        // Before the time, so that not even the head is whole.
        const std::size_t head = std::max<std::size_t>(payload.find("\"ts\""), 1);
        return payload.substr(0, random.next() % std::min(head, payload.size()));
    }
    std::string bytes(1 + random.next() % garbage_bytes_max, '\0');
    for (char& byte : bytes)
        byte = static_cast<char>(random.next() & 0xffU);
    return bytes;
}

}  // namespace milepost::fleet
