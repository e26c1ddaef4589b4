#pragma once

#include "storage/base/stats.hpp"
#include "storage/base/time.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace milepost::bridge {

// Since the start of the process. Any thread may read.
struct Stats {
    Counter received;     // publishes, of any QoS, also those that were refused
    Counter duplicates;   // QoS 2 publishes that the log had already
    Counter redelivered;  // QoS 1 with DUP: written again if it was written before
    Counter malformed;    // publishes that are no MQTT: neither received nor written
    Counter connects;
    Counter failures;  // connections that could not be made or were lost
};

enum class State : std::uint8_t { connecting, up, down, stopped };

[[nodiscard]] std::string_view state_name(State state);

struct Status {
    State state = State::connecting;
    Timestamp connected_since = timestamp_none;
    std::string last_error;  // also of an earlier connection; empty: there was none
    Timestamp last_error_at = timestamp_none;
    bool waits_for_log = false;  // something was read and cannot be written at the moment
};

}  // namespace milepost::bridge
