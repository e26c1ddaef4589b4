#pragma once

#include "firmware-sim/link.hpp"
#include "firmware-sim/mqtt_wire.hpp"
#include "storage/base/time.hpp"

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace milepost::fleet {

// One MQTT client that publishes: what it has in flight, and what follows from each packet of the
// gateway. Knows no socket and no clock; bytes for the gateway are appended to `out`.
// Clean start 0. When the gateway still has the session, what was in flight is sent again in its
// order, under the same packet ids, with DUP; else it is forgotten, and the owner is told so.
class ClientSession {
public:
    ClientSession(const LinkSettings& settings, LinkIdentity identity);

    // The transport stands: CONNECT.
    void begin(std::string& out);

    // Bytes from the gateway, cut anywhere. Events are connected, connect_failed, acknowledged and
    // refused, with the fields that are theirs. False: the connection is to be closed.
    [[nodiscard]] bool receive(
        std::string_view bytes,
        std::string& out,
        std::vector<LinkEvent>& events
    );

    // False, and nothing done, unless connected and with less than window() in flight. A payload
    // that is larger than the gateway takes comes back in `events` as refused.
    [[nodiscard]] bool publish(
        std::uint64_t seq,
        std::string_view payload,
        std::string& out,
        std::vector<LinkEvent>& events
    );

    // QoS 0: everything appended so far is with the network.
    void written(std::vector<LinkEvent>& events);

    // The transport is gone; what is in flight stays.
    void end();

    // Knows nothing any more: the next `connected` says that there is no session.
    void forget();

    [[nodiscard]] bool is_connected() const { return is_connected_; }

    // How long the connection may be silent; 0: for ever.
    [[nodiscard]] std::chrono::seconds keep_alive() const { return keep_alive_; }

    // True since PINGREQ, until the gateway says something.
    [[nodiscard]] bool is_ping_awaited() const { return is_ping_awaited_; }

    void ping(std::string& out);

private:
    struct InFlight {
        std::uint64_t seq;
        std::uint16_t packet_id;
        bool is_received;     // QoS 2: PUBREC came, PUBREL is due
        std::string payload;  // empty from then on
    };

    [[nodiscard]] bool take(
        const wire::Answer& answer,
        std::string& out,
        std::vector<LinkEvent>& events
    );
    [[nodiscard]] bool take_connack(
        const wire::Answer& answer,
        std::string& out,
        std::vector<LinkEvent>& events
    );
    void take_ack(const wire::Answer& answer, std::string& out, std::vector<LinkEvent>& events);
    void send(const InFlight& entry, bool is_dup, std::string& out) const;
    [[nodiscard]] std::uint16_t next_packet_id();
    [[nodiscard]] std::vector<InFlight>::iterator find(std::uint16_t packet_id);

    const LinkSettings* settings_;
    std::string client_id_;
    std::string topic_;
    std::string rest_;  // of the gateway's bytes: a packet that is not whole
    std::vector<InFlight> in_flight_;
    std::chrono::seconds keep_alive_{0};
    std::size_t window_ = 0;
    std::size_t packet_bytes_max_ = 0;
    std::uint16_t last_packet_id_ = 0;
    bool has_session_ = false;  // was connected, and remembers what was in flight
    bool is_connected_ = false;
    bool is_ping_awaited_ = false;
};

}  // namespace milepost::fleet
