#pragma once

#include "gateway/mqtt/packet.hpp"
#include "storage/base/bytes.hpp"
#include "storage/base/time.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

namespace milepost::broker {

// A publish on its way to subscribers: one copy for all of them.
struct Message {
    std::string topic;
    Buffer payload;
    Buffer properties;     // 5.0's that go on unchanged: all but topic alias and message expiry
    Timestamp received{};  // wall time
    std::optional<std::uint32_t> expiry_s;
    mqtt::Qos qos = mqtt::Qos::at_most_once;
    bool retain = false;

    // What it counts in the limits of queues and of the retained store.
    [[nodiscard]] std::size_t bytes() const {
        return sizeof(Message) + topic.size() + payload.size() + properties.size();
    }

    // Message Expiry Interval is over (MQTT-3.3.2-5).
    [[nodiscard]] bool is_expired(Timestamp now) const {
        return expiry_s && now - received >= std::int64_t{*expiry_s} * 1000;
    }
};

using MessagePtr = std::shared_ptr<const Message>;

// Of a publish or will whose properties are checked.
[[nodiscard]] MessagePtr make_message(const mqtt::Publish& publish, Timestamp now);

// What is left of the expiry, for the copy that is sent (MQTT-3.3.2-6): at least 1.
[[nodiscard]] std::uint32_t rest_of_expiry_s(const Message& message, Timestamp now);

// A message in the journal and in meta.db: storage/FORMAT.md, "Messages for subscribers".
[[nodiscard]] Buffer encode_message(const Message& message);
// Null: it is none, or torn.
[[nodiscard]] MessagePtr decode_message(Bytes bytes);
// Whether the bytes are a message and not the state of a session.
[[nodiscard]] bool is_message(Bytes bytes);

}  // namespace milepost::broker
