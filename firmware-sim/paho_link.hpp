#pragma once

#include "firmware-sim/inbox.hpp"
#include "firmware-sim/link.hpp"

#include <cstdint>
#include <memory>
#include <string>

namespace milepost::fleet {

// A vehicle's connection through Eclipse Paho MQTT C++: clean start 0, the client id is the
// vehicle's id. Paho keeps what is in flight in memory and, if the gateway still has the session,
// sends it again under the same packet ids with DUP when the connection comes back (checked by
// tests/component/fleet_mosquitto). Without a session Paho gives the publishes back and the vehicle
// publishes them anew, in order; likewise after a failed write, from which Paho's memory of what is
// in flight does not recover.
class PahoLink final : public Link {
public:
    // `vehicle` is the index that the events carry.
    PahoLink(
        const LinkSettings& settings,
        std::uint32_t vehicle,
        const LinkIdentity& identity,
        EventSink sink
    );
    PahoLink(const PahoLink&) = delete;
    PahoLink& operator=(const PahoLink&) = delete;
    ~PahoLink() override;

    void connect() override;
    bool publish(std::uint64_t seq, const std::string& payload) override;
    void disconnect() override;
    void step(const LinkEvent& answer) override;
    void abandon() override;

    // Paho has no such thing: the process that a link has for itself is ended instead.
    void cut() override { abandon(); }

private:
    class Client;

    void take_over(const LinkEvent& answer);
    void fail(LinkEvent event) const;
    void replace_client();
    void retire_client();

    LinkSettings settings_;
    std::uint32_t vehicle_;
    std::string client_id_;
    std::string topic_;
    EventSink sink_;
    std::unique_ptr<Client> client_;
    std::unique_ptr<Client> probe_;
    std::uint32_t attempt_ = 0;  // of a probe: tells its answers from a former one's
    bool is_probe_closing_ = false;
};

}  // namespace milepost::fleet
