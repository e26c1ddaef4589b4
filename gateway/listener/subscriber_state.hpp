#pragma once

#include "gateway/broker/outgoing.hpp"
#include "gateway/broker/subscription_tree.hpp"
#include "storage/base/bytes.hpp"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <string_view>
#include <vector>

// What a kept session has subscribed to and is still to be sent, as changes of its state:
// storage/FORMAT.md, "Session states". Pure.
namespace milepost::listener {

// A broker::Delivery without its message, which has a row of its own.
struct StoredDelivery {
    std::uint64_t row = 0;
    std::vector<std::uint32_t> identifiers;
    mqtt::PacketId packet_id = 0;
    mqtt::Qos qos = mqtt::Qos::at_least_once;
    bool retain = false;
    bool is_received = false;  // QoS 2: the subscriber's PUBREC has come

    friend bool operator==(const StoredDelivery&, const StoredDelivery&) = default;
};

struct SubscriberState {
    std::map<std::string, broker::SubscriptionOptions, std::less<>> subscriptions;
    std::deque<StoredDelivery> queue;  // in the order in which they are sent

    [[nodiscard]] bool empty() const { return subscriptions.empty() && queue.empty(); }

    friend bool operator==(const SubscriberState&, const SubscriberState&) = default;
};

[[nodiscard]] Buffer subscribed_change(
    std::string_view filter,
    const broker::SubscriptionOptions& options
);
[[nodiscard]] Buffer unsubscribed_change(std::string_view filter);
[[nodiscard]] Buffer queued_change(const StoredDelivery& delivery);
// The subscriber has the QoS 2 message; from now on only a PUBREL goes.
[[nodiscard]] Buffer delivered_change(mqtt::PacketId packet_id);
// It is done with: acknowledged, expired or dropped.
[[nodiscard]] Buffer done_change(mqtt::PacketId packet_id);

// The length of the change at the front of `bytes`; 0: none of these, or torn.
[[nodiscard]] std::size_t subscriber_change_bytes(Bytes bytes);
// `change` is one whole change of these. One that was applied before changes nothing.
void apply_subscriber_change(SubscriberState& state, Bytes change);
void append_subscriber_state(Buffer& out, const SubscriberState& state);

}  // namespace milepost::listener
