#pragma once

#include "gateway/mqtt/packet.hpp"
#include "gateway/mqtt/session.hpp"
#include "storage/base/stats.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace milepost::listener {

struct Endpoint {
    std::string address;
    std::uint16_t port = 1883;
};

struct Options {
    std::vector<Endpoint> endpoints;
    mqtt::Limits limits;
    std::size_t connections_max = 10'000;
    std::size_t sessions_max = 100'000;
    std::uint32_t session_expiry_s_max = mqtt::session_expiry_never;
    std::size_t waiting_wills_max = 1'000;      // with a delay, or while the log takes nothing
    std::size_t unsent_bytes_max = 64U * 1024;  // answers that a device does not read
    // QoS 2 packet ids of one session that wait for their PUBREL. In 5.0 a connection is held to
    // its Receive Maximum before; 3.1.1 has none, and a session's ids add up over its connections.
    std::size_t unreleased_publishes_max = 16'384;
    std::chrono::seconds connect_timeout{10};
};

// Since the start of the process. Any thread may read.
struct ListenerStats {
    Gauge connections;
    Gauge sessions;
    Counter accepted_connections;
    Counter refused_connections;  // over connections_max or sessions_max
    Counter connects;             // CONNECTs that were accepted
    Counter takeovers;
    Counter protocol_errors;
    Counter keep_alive_timeouts;
    Counter connect_timeouts;
    Counter dropped_wills;
    Counter unreleased_floods;  // connections closed at unreleased_publishes_max
    Counter acks;               // PUBACKs and PUBRECs
    Counter received_bytes;
    Histogram ack_latency_micros;  // from the read of the PUBLISH to its PUBACK
};

}  // namespace milepost::listener
