#pragma once

#include "gateway/bridge/broker_session.hpp"
#include "gateway/bridge/options.hpp"
#include "gateway/mqtt/packet.hpp"
#include "storage/base/bytes.hpp"

#include <functional>
#include <memory>
#include <string_view>
#include <vector>

namespace milepost::bridge {

// A subscriber of one broker, by Eclipse Paho: connects, subscribes, and again after each failure,
// on a thread of its own, the only one that calls Paho (whose lock is held while a packet is
// given). README.md says when Paho calls what, and what may be promised of it.
class PahoSubscriber {
public:
    struct Events {
        // Paho's thread. Return when it is durable; the broker is answered then, whatever happens.
        std::function<void(Bytes packet, mqtt::ProtocolLevel level)> packet;  // a whole PUBLISH
        std::function<void(mqtt::PacketId)> release;
        // Any thread.
        std::function<std::vector<mqtt::PacketId>()> unreleased;
        // The subscriber's own thread. What the broker's session holds of us, and what it holds
        // now: returns when that is durable.
        std::function<Filters()> filters;
        std::function<void(const Filters&)> hold;
        std::function<void()> up;
        std::function<void(std::string_view why)> trouble;  // it goes on: a filter was refused …
        std::function<void(std::string_view why)> down;     // it tries again
        std::function<void()> stopped;
    };

    PahoSubscriber(Options options, Events events);
    PahoSubscriber(const PahoSubscriber&) = delete;
    PahoSubscriber& operator=(const PahoSubscriber&) = delete;
    // Joins: `stopped` must have been called, or start() not.
    ~PahoSubscriber();

    void start();
    // Ends by `stopped`, unless Paho's thread waits for the log. No wait.
    void request_stop();

private:
    class Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace milepost::bridge
