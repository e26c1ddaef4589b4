#pragma once

#include "storage/base/time.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

namespace milepost::fleet {

enum class MqttVersion : std::uint8_t { v311, v5 };

// As mosquitto_pub's flags: PEM files, and a folder as c_rehash makes it. Empty: not given.
struct TlsSettings {
    bool is_wanted = false;
    std::string ca_file{};
    std::string ca_path{};
    std::string certificate{};  // the client's own, with its chain
    std::string key{};
    bool is_insecure = false;  // the certificate may be of another host

    [[nodiscard]] bool uses_system_trust() const { return ca_file.empty() && ca_path.empty(); }
};

// How all vehicles of a fleet speak to the gateway.
struct LinkSettings {
    std::string host = "127.0.0.1";
    std::uint16_t port = 1883;
    MqttVersion version = MqttVersion::v311;
    int qos = 1;
    std::string topic_prefix = "vehicles";
    std::size_t in_flight_max = 20;  // 1 to 1000
    std::string user{};              // empty: none is sent
    std::string password{};
    TlsSettings tls{};
};

// Who a connection is: the client id is the vehicle's, unless somebody copied a configuration.
struct LinkIdentity {
    // NOLINTNEXTLINE(google-explicit-constructor,hicpp-explicit-conversions): the usual case
    LinkIdentity(std::string id)
        : vehicle_id(id)
        , client_id(std::move(id)) {}

    LinkIdentity(std::string vehicle, std::string client)
        : vehicle_id(std::move(vehicle))
        , client_id(std::move(client)) {}

    std::string vehicle_id;  // in the topic
    std::string client_id;
};

enum class LinkEventKind : std::uint8_t {
    connected,       // session_present, window
    connect_failed,  // try again later; seq: the TlsFailure that was its cause, or 0
    lost,            // a standing connection is gone
    acknowledged,    // seq: PUBACK, PUBCOMP; QoS 0: written
    refused,         // seq: MQTT 5 answered with the reason code `code`; it was not taken
    given_back,      // seq: the link has dropped it undelivered
    disconnected,    // the end of disconnect()
    step,            // the link asks for step()
};

// What a vehicle's connection has to say.
struct LinkEvent {
    LinkEventKind kind{};
    std::uint32_t vehicle = 0;  // index in the fleet
    std::uint64_t seq = 0;
    std::size_t window = 0;
    std::uint32_t attempt = 0;  // the link's own
    std::uint8_t code = 0;
    bool session_present = false;
    Instant at{};
    Timestamp wall{};
};

// One vehicle's connection to the gateway. Every call returns at once and is made by the fleet's
// thread; answers come as events in the fleet's inbox, in the order in which they happened.
class Link {
public:
    Link() = default;
    Link(const Link&) = delete;
    Link& operator=(const Link&) = delete;
    virtual ~Link() = default;

    // Ends in `connected` or `connect_failed`. Not while a connection stands or is made.
    virtual void connect() = 0;

    // False if the connection is gone (a `lost` follows): then the reading was not taken.
    virtual bool publish(std::uint64_t seq, const std::string& payload) = 0;

    // Says goodbye; the session stays. Ends in `disconnected`.
    virtual void disconnect() = 0;

    // connect() has not answered for far too long: forget everything and begin anew. The next
    // `connected` says that there is no session.
    virtual void abandon() = 0;

    // The air is gone: the connection breaks now, without a goodbye. Ends in `lost` if it stood,
    // in `connect_failed` if it was being made; does nothing otherwise.
    virtual void cut() = 0;

    // For an event of the kind `step`, which is passed back.
    virtual void step(const LinkEvent& answer) = 0;
};

}  // namespace milepost::fleet
