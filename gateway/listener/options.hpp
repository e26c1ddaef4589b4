#pragma once

#include "gateway/access/logins.hpp"
#include "gateway/listener/endpoint_rules.hpp"
#include "gateway/mqtt/packet.hpp"
#include "gateway/mqtt/session.hpp"
#include "storage/base/stats.hpp"
#include "storage/base/units.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace milepost::listener {

struct Endpoint {
    std::string address;
    std::uint16_t port = 1883;
    EndpointRules rules{};
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

    // Subscribers.
    std::size_t subscriptions_max = 100;            // of one session
    std::size_t subscription_bytes_max = 32 * mib;  // of all, about what they take in memory
    std::size_t filter_bytes_max = 512;
    std::size_t filter_levels_max = 32;
    std::size_t queue_messages_max = 1'000;  // of one session
    std::size_t queue_bytes_max = 1 * mib;
    std::size_t message_bytes_max = 64 * mib;  // all messages in queues and retained ones
    std::size_t retained_messages_max = 10'000;
    std::size_t retained_bytes_max = 16 * mib;
    std::uint16_t deliveries_in_flight_max = 256;  // without a Receive Maximum below
    std::size_t delivery_bytes_max = 64U * 1024;   // sent and not taken by the socket
    access::LoginLimits logins;
    // 0: no limit. A site whose vehicles share one address behind a router needs none.
    std::size_t connections_per_address_max = 0;
    // What one connection may publish a second, over any second or longer; 0: no limit. Over it its
    // socket is not read for a while, nobody else's.
    std::uint64_t messages_per_s_max = 0;
    std::uint64_t bytes_per_s_max = 0;
    // How long a device may leave answers unread before it is given up.
    std::chrono::seconds write_timeout{60};
    // Duplicate windows and QoS 2 packet ids of all sessions. Full, windows do not grow (a late
    // retransmission is then stored twice) and new QoS 2 packet ids end their connection.
    std::size_t publish_memory_bytes_max = 64U * 1024 * 1024;
};

// Since the start of the process. Any thread may read.
struct ListenerStats {
    Gauge connections;
    Gauge sessions;
    Counter accepted_connections;
    Gauge publish_memory_bytes;
    Counter refused_connections;  // over connections_max, or the system had no room
    Counter refused_by_address;   // over connections_per_address_max
    Counter refused_sessions;     // over sessions_max
    Counter connects;             // CONNECTs that were accepted
    Counter handshakes;           // of TLS that came to an end
    Counter failed_handshakes;
    Counter refused_connects;  // by passwords, certificates or client ids
    Counter takeovers;
    Counter protocol_errors;
    Counter keep_alive_timeouts;
    Counter connect_timeouts;
    Counter write_timeouts;  // connections that did not read their answers
    Counter rate_pauses;     // times that a socket was not read for its rate
    Counter short_windows;   // publishes that a window had no room for: publish_memory_bytes_max
    Counter dropped_wills;
    Counter unreleased_floods;  // connections closed at unreleased_publishes_max
    Counter acks;               // PUBACKs and PUBRECs
    Counter received_bytes;
    Gauge subscriptions;
    Gauge retained_messages;
    Counter refused_subscriptions;  // over a limit
    Counter deliveries;             // PUBLISH packets to subscribers, repeated ones too
    Counter dropped_deliveries;     // the queue was full
    Counter expired_deliveries;     // Message Expiry Interval
    Counter oversized_deliveries;   // above the subscriber's Maximum Packet Size
    Counter forbidden_deliveries;   // the rules have changed since they were queued
    Counter dropped_retained;       // not kept: over a limit
    Histogram ack_latency_micros;   // from the read of the PUBLISH to its PUBACK
};

}  // namespace milepost::listener
