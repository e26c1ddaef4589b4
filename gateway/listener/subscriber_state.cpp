#include "gateway/listener/subscriber_state.hpp"

#include <algorithm>
#include <concepts>

namespace milepost::listener {

namespace {

// The first byte of a change; 1 to 4 are session_state's. Never renumbered.
constexpr std::uint8_t subscribed_tag = 5;
constexpr std::uint8_t unsubscribed_tag = 6;
constexpr std::uint8_t queued_tag = 7;
constexpr std::uint8_t delivered_tag = 8;
constexpr std::uint8_t done_tag = 9;

constexpr std::size_t subscribed_head_bytes = 1 + 2 + 1 + 4;
constexpr std::size_t unsubscribed_head_bytes = 1 + 2;
constexpr std::size_t queued_head_bytes = 1 + 2 + 8 + 1 + 1;
constexpr std::size_t id_change_bytes = 1 + 2;
constexpr std::size_t identifiers_max = 255;

constexpr unsigned qos_bits = 0x03;
constexpr unsigned no_local_bit = 0x04;
constexpr unsigned as_published_bit = 0x08;
constexpr unsigned retain_bit = 0x04;

template <std::integral T>
void add(Buffer& out, T value) {
    const std::size_t at = out.size();
    out.resize(at + sizeof value);
    store_little(out.data() + at, value);
}

Buffer id_change(std::uint8_t tag, mqtt::PacketId packet_id) {
    Buffer out;
    add(out, tag);
    add(out, packet_id);
    return out;
}

broker::SubscriptionOptions options_of(Bytes change) {
    const auto bits = load_little<std::uint8_t>(change.data() + 3);
    return {
        .identifier = load_little<std::uint32_t>(change.data() + 4),
        .qos = static_cast<mqtt::Qos>(std::min(bits & qos_bits, 2U)),
        .no_local = (bits & no_local_bit) != 0,
        .retain_as_published = (bits & as_published_bit) != 0};
}

StoredDelivery delivery_of(Bytes change) {
    const auto bits = load_little<std::uint8_t>(change.data() + 11);
    StoredDelivery delivery;
    delivery.packet_id = load_little<std::uint16_t>(change.data() + 1);
    delivery.row = load_little<std::uint64_t>(change.data() + 3);
    delivery.qos = (bits & qos_bits) == 2 ? mqtt::Qos::exactly_once : mqtt::Qos::at_least_once;
    delivery.retain = (bits & retain_bit) != 0;
    for (Bytes rest = change.subspan(queued_head_bytes); !rest.empty(); rest = rest.subspan(4)) {
        delivery.identifiers.push_back(load_little<std::uint32_t>(rest.data()));
    }
    return delivery;
}

}  // namespace

Buffer subscribed_change(std::string_view filter, const broker::SubscriptionOptions& options) {
    Buffer out;
    add(out, subscribed_tag);
    add(out, static_cast<std::uint16_t>(filter.size()));
    add(out,
        static_cast<std::uint8_t>(
            static_cast<unsigned>(options.qos) | (options.no_local ? no_local_bit : 0U) |
            (options.retain_as_published ? as_published_bit : 0U)
        ));
    add(out, options.identifier);
    append_bytes(out, as_bytes(filter));
    return out;
}

Buffer unsubscribed_change(std::string_view filter) {
    Buffer out;
    add(out, unsubscribed_tag);
    add(out, static_cast<std::uint16_t>(filter.size()));
    append_bytes(out, as_bytes(filter));
    return out;
}

Buffer queued_change(const StoredDelivery& delivery) {
    const std::size_t identifiers = std::min(delivery.identifiers.size(), identifiers_max);
    Buffer out;
    add(out, queued_tag);
    add(out, delivery.packet_id);
    add(out, delivery.row);
    add(out,
        static_cast<std::uint8_t>(
            static_cast<unsigned>(delivery.qos) | (delivery.retain ? retain_bit : 0U)
        ));
    add(out, static_cast<std::uint8_t>(identifiers));
    for (std::size_t i = 0; i < identifiers; ++i) {
        add(out, delivery.identifiers[i]);
    }
    return out;
}

Buffer delivered_change(mqtt::PacketId packet_id) {
    return id_change(delivered_tag, packet_id);
}

Buffer done_change(mqtt::PacketId packet_id) {
    return id_change(done_tag, packet_id);
}

std::size_t subscriber_change_bytes(Bytes bytes) {
    const std::uint8_t tag = bytes.empty() ? 0 : load_little<std::uint8_t>(bytes.data());
    const auto with_filter = [&bytes](std::size_t head) -> std::size_t {
        if (bytes.size() < head) return 0;
        return head + load_little<std::uint16_t>(bytes.data() + 1);
    };
    std::size_t size = 0;
    switch (tag) {
        case subscribed_tag: size = with_filter(subscribed_head_bytes); break;
        case unsubscribed_tag: size = with_filter(unsubscribed_head_bytes); break;
        case queued_tag:
            if (bytes.size() < queued_head_bytes) return 0;
            size = queued_head_bytes + 4 * std::to_integer<std::size_t>(bytes[12]);
            break;
        case delivered_tag:
        case done_tag: size = id_change_bytes; break;
        default: return 0;
    }
    return size <= bytes.size() ? size : 0;
}

void apply_subscriber_change(SubscriberState& state, Bytes change) {
    const auto packet_id = load_little<std::uint16_t>(change.data() + 1);
    const auto queued = [&] {
        return std::find_if(state.queue.begin(), state.queue.end(), [&](const auto& delivery) {
            return delivery.packet_id == packet_id;
        });
    };
    switch (std::to_integer<std::uint8_t>(change.front())) {
        case subscribed_tag: {
            const auto filter = as_text(change.subspan(subscribed_head_bytes));
            state.subscriptions.insert_or_assign(std::string{filter}, options_of(change));
            return;
        }
        case unsubscribed_tag: {
            const auto filter = as_text(change.subspan(unsubscribed_head_bytes));
            const auto found = state.subscriptions.find(filter);
            if (found != state.subscriptions.end()) state.subscriptions.erase(found);
            return;
        }
        case queued_tag: {
            // The end of an earlier one under that id did not reach the disk, or this one is
            // applied again.
            if (const auto found = queued(); found != state.queue.end()) state.queue.erase(found);
            state.queue.push_back(delivery_of(change));
            return;
        }
        case delivered_tag: {
            if (const auto found = queued(); found != state.queue.end()) found->is_received = true;
            return;
        }
        default:
            if (const auto found = queued(); found != state.queue.end()) state.queue.erase(found);
    }
}

void append_subscriber_state(Buffer& out, const SubscriberState& state) {
    for (const auto& [filter, options] : state.subscriptions) {
        append_bytes(out, subscribed_change(filter, options));
    }
    for (const StoredDelivery& delivery : state.queue) {
        append_bytes(out, queued_change(delivery));
        if (delivery.is_received) append_bytes(out, delivered_change(delivery.packet_id));
    }
}

}  // namespace milepost::listener
