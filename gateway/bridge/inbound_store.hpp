#pragma once

#include "gateway/mqtt/packet.hpp"
#include "storage/base/bytes.hpp"

#include <cstddef>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace milepost::bridge {

// What Paho takes for a folder of files: of its keys only those of inbound QoS 2 publishes mean
// something, "r-<packet id>" in 3.1.1, "r5-<packet id>" in 5.0. README.md has the promise.
// Thread: Paho's; keys(), contains() and get() also the one that makes its client.
class InboundStore {
public:
    struct Events {
        std::function<void(Bytes packet)> packet;
        std::function<void(mqtt::PacketId)> release;
        std::function<std::vector<mqtt::PacketId>()> unreleased;
        // Paho holds more payloads than it may; comes with every further one.
        std::function<void()> over_limit;
    };

    InboundStore(mqtt::ProtocolLevel level, std::size_t payload_bytes_max, Events events)
        : level_(level)
        , payload_bytes_max_(payload_bytes_max)
        , events_(std::move(events)) {}

    [[nodiscard]] static bool is_publish(std::string_view key) { return id_of(key).has_value(); }

    void put(std::string_view key, Bytes packet);
    void remove(std::string_view key);
    [[nodiscard]] bool contains(std::string_view key) const;
    [[nodiscard]] std::vector<std::string> keys() const;
    // A PUBLISH of that packet id with nothing in it.
    [[nodiscard]] std::string get(std::string_view key) const;

    // Paho has been made to: its client is gone.
    void forget_payloads();

    // nullopt: another kind of key.
    [[nodiscard]] static std::optional<mqtt::PacketId> id_of(std::string_view key);

private:
    mqtt::ProtocolLevel level_;
    std::size_t payload_bytes_max_;
    Events events_;
    std::map<mqtt::PacketId, std::size_t> held_;
    std::size_t held_bytes_ = 0;
};

}  // namespace milepost::bridge
