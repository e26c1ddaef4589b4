#pragma once

#include <cstdint>

namespace milepost {

// What the owner of a connection gets back when the group that holds its publish is durable: a
// plain value: the log carries it and never looks inside.
struct AckToken {
    std::uint32_t connection = 0;       // slot of the connection
    std::uint32_t generation = 0;       // tells a reused slot from the one that published
    std::uint32_t received_micros = 0;  // monotonic, modulo 2^32: for the ack's latency
    std::uint16_t packet_id = 0;        // 0 (MQTT-2.2.1-3: no PUBLISH): the CONNECT's own
    std::uint16_t weight = 0;           // what it counts in the connection's in-flight limit
    std::uint8_t reason = 0;            // MQTT 5.0 reason code of the ack
    std::uint8_t answer = 0;            // which packet the ack is: MQTT's packet type

    friend bool operator==(const AckToken&, const AckToken&) = default;
};

}  // namespace milepost
