#pragma once

#include "gateway/broker/message.hpp"
#include "gateway/broker/stored_rows.hpp"
#include "gateway/mqtt/packet.hpp"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

namespace milepost::broker {

// One message for one subscriber.
struct Delivery {
    // QoS 2 (MQTT 5.0, section 4.3.3): `received`, the subscriber has it, which has to be durable
    // before the PUBREL goes; `released`, it may go.
    enum class State : std::uint8_t { publish, received, released };

    MessagePtr message;
    StoredRowPtr row;                        // in a kept session, with QoS 1 and 2
    std::vector<std::uint32_t> identifiers;  // of the subscriptions that matched
    mqtt::PacketId packet_id = 0;            // 0: QoS 0
    mqtt::Qos qos = mqtt::Qos::at_most_once;
    State state = State::publish;
    bool retain = false;
    bool dup = false;  // it may have been sent before
};

// What one session still has to send to its device: a queue, then what waits for the device's acks;
// the sending side of MQTT's QoS 1 and 2. Packet ids are given when a message is queued, in the
// order of the queue, so that in a kept session they are on the disk with the message, before it is
// ever sent, and a message is sent again under the same one. Pure.
class Outgoing {
public:
    struct Limits {
        std::size_t messages_max = 1'000;
        std::size_t bytes_max = 1024UL * 1024;
    };

    explicit Outgoing(Limits limits)
        : limits_(limits) {}

    // Room for a message of `bytes`, and its packet id (0 with QoS 0). nullopt: the queue is full.
    // Comes before put(), in the same order.
    [[nodiscard]] std::optional<mqtt::PacketId> reserve(mqtt::Qos qos, std::size_t bytes);
    // A message for which room was reserved: from now on it may be sent.
    void put(Delivery delivery);
    // One that was reserved and will not be put.
    void cancel(mqtt::Qos qos, std::size_t bytes);
    // From before the restart, in order. It may have been sent.
    void restore(Delivery delivery);

    // What is to be sent next, with at most `window` waiting for acks; null: nothing now. A
    // delivery in state `released` is a PUBREL to be sent.
    [[nodiscard]] const Delivery* next(std::size_t window) const;
    // It was.
    void sent();
    // It will not be: it has expired, or the device cannot take it.
    [[nodiscard]] Delivery drop_next();

    // The device's acks. `unknown`: no such publish waits for it.
    enum class Acked : std::uint8_t { unknown, done, received, release_again, waits };
    [[nodiscard]] Acked puback(mqtt::PacketId packet_id);
    // `received`: make that durable, then call released(). A refusal ends it.
    [[nodiscard]] Acked pubrec(mqtt::PacketId packet_id, bool is_refusal);
    // It is durable that the device has it: whether its PUBREL is to be sent.
    [[nodiscard]] bool released(mqtt::PacketId packet_id);
    [[nodiscard]] Acked pubcomp(mqtt::PacketId packet_id);

    // The connection is gone: what was in flight comes first next time, QoS 0 is forgotten.
    void interrupt();

    [[nodiscard]] std::size_t waiting() const { return waiting_.size(); }

    [[nodiscard]] std::size_t in_flight() const { return in_flight_.size(); }

    // All that count in the limits.
    [[nodiscard]] std::size_t size() const {
        return waiting_.size() + in_flight_.size() + reserved_;
    }

    [[nodiscard]] std::size_t bytes() const { return bytes_; }

private:
    [[nodiscard]] mqtt::PacketId oldest_id() const;
    void forget(const Delivery& delivery);
    Delivery* find(mqtt::PacketId packet_id);
    void finish(const Delivery* delivery);

    Limits limits_;
    std::deque<Delivery> waiting_;
    std::deque<Delivery> in_flight_;  // in the order in which they were sent
    std::size_t reserved_ = 0;
    std::size_t reserved_ids_ = 0;
    std::size_t bytes_ = 0;
    mqtt::PacketId last_id_ = 0;
};

}  // namespace milepost::broker
