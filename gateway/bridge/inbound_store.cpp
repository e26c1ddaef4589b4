#include "gateway/bridge/inbound_store.hpp"

#include "gateway/mqtt/encode.hpp"

#include <algorithm>
#include <charconv>

namespace milepost::bridge {

namespace {

// MQTTPersistence.h of Paho C: PERSISTENCE_PUBLISH_RECEIVED, PERSISTENCE_V5_PUBLISH_RECEIVED.
constexpr std::string_view prefix_3 = "r-";
constexpr std::string_view prefix_5 = "r5-";

}  // namespace

std::optional<mqtt::PacketId> InboundStore::id_of(std::string_view key) {
    if (key.starts_with(prefix_5)) {
        key.remove_prefix(prefix_5.size());
    } else if (key.starts_with(prefix_3)) {
        key.remove_prefix(prefix_3.size());
    } else {
        return std::nullopt;
    }
    mqtt::PacketId id = 0;
    const auto [end, failed] = std::from_chars(key.data(), key.data() + key.size(), id);
    if (failed != std::errc{} || end != key.data() + key.size() || id == 0) return std::nullopt;
    return id;
}

void InboundStore::put(std::string_view key, Bytes packet) {
    const auto id = id_of(key);
    if (!id) return;
    events_.packet(packet);
    std::size_t& held = held_[*id];
    held_bytes_ += packet.size() - held;
    held = packet.size();
    if (held_bytes_ > payload_bytes_max_) events_.over_limit();
}

void InboundStore::remove(std::string_view key) {
    const auto id = id_of(key);
    if (!id) return;
    events_.release(*id);
    const auto held = held_.extract(*id);
    if (!held.empty()) held_bytes_ -= held.mapped();
}

bool InboundStore::contains(std::string_view key) const {
    const auto id = id_of(key);
    const auto ids = events_.unreleased();
    return id && std::find(ids.begin(), ids.end(), *id) != ids.end();
}

std::vector<std::string> InboundStore::keys() const {
    const auto prefix = level_ == mqtt::ProtocolLevel::v5 ? prefix_5 : prefix_3;
    std::vector<std::string> keys;
    for (const mqtt::PacketId id : events_.unreleased())
        keys.push_back(std::string{prefix} + std::to_string(id));
    return keys;
}

std::string InboundStore::get(std::string_view key) const {
    mqtt::Publish publish;
    publish.topic = "-";
    publish.qos = mqtt::Qos::exactly_once;
    publish.ticket.packet_id = id_of(key).value_or(1);
    Buffer packet;
    mqtt::encode_publish(packet, level_, publish);
    return std::string{as_text(packet)};
}

void InboundStore::forget_payloads() {
    held_.clear();
    held_bytes_ = 0;
}

}  // namespace milepost::bridge
