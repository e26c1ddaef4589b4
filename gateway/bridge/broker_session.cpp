#include "gateway/bridge/broker_session.hpp"

#include "gateway/listener/content_hash.hpp"
#include "gateway/listener/session_state.hpp"
#include "gateway/listener/subscriber_state.hpp"

#include <utility>

namespace milepost::bridge {

namespace {

using namespace std::string_view_literals;
using listener::SessionChangeBytes;

constexpr std::string_view key_prefix = "\0b"sv;

}  // namespace

std::string row_key(std::string_view bridge_name) {
    return std::string{key_prefix}.append(bridge_name);
}

std::optional<std::string_view> bridge_of_key(std::string_view key) {
    if (!key.starts_with(key_prefix)) return std::nullopt;
    return key.substr(key_prefix.size());
}

Buffer new_log_change() {
    Buffer change;
    append_bytes(change, SessionChangeBytes::accepted(0).bytes());
    return change;
}

Filters in_doubt(Filters filters) {
    for (auto& [filter, qos] : filters)
        qos = qos_in_doubt;
    return filters;
}

Peer peer_of(std::string_view url, std::string_view client_id) {
    return static_cast<Peer>(listener::content_hash(url, as_bytes(client_id))) | 1U;
}

BrokerSession::BrokerSession(Bytes state, Peer peer)
    : peer_(peer) {
    auto decoded = listener::decode_session_state(state);
    if (!decoded) return;
    is_kept_ = true;
    accepted_ = decoded->accepted;
    unreleased_ = std::move(decoded->memory.unreleased);
    for (const auto& [filter, options] : decoded->subscriber.subscriptions) {
        const bool is_of_peer = options.identifier == peer_;
        filters_.emplace(filter, is_of_peer ? static_cast<int>(options.qos) : qos_in_doubt);
    }
}

bool BrokerSession::has(const listener::Remembered& publish) const {
    const auto* known = unreleased_.find(publish.packet_id);
    return known != nullptr && *known == publish;
}

bool BrokerSession::waits(mqtt::PacketId packet_id) const {
    return unreleased_.find(packet_id) != nullptr;
}

std::vector<mqtt::PacketId> BrokerSession::unreleased() const {
    std::vector<mqtt::PacketId> ids;
    for (const auto& publish : unreleased_.entries())
        ids.push_back(publish.packet_id);
    return ids;
}

// A row without a header is none, so the first change brings it.
Buffer BrokerSession::begin_change() const {
    Buffer bytes;
    if (is_kept_) return bytes;
    const auto header = SessionChangeBytes::header(mqtt::session_expiry_never, timestamp_none);
    append_bytes(bytes, header.bytes());
    return bytes;
}

// The whole count and not "one more": changes may be folded twice.
Buffer BrokerSession::accepted_change(const std::optional<listener::Remembered>& publish) const {
    Buffer change = begin_change();
    if (publish) append_bytes(change, SessionChangeBytes::received(*publish).bytes());
    append_bytes(change, SessionChangeBytes::accepted(accepted_ + 1).bytes());
    return change;
}

void BrokerSession::note_accepted(const std::optional<listener::Remembered>& publish) {
    is_kept_ = true;
    ++accepted_;
    if (publish) unreleased_.put(*publish);
}

Buffer BrokerSession::released_change(mqtt::PacketId packet_id) const {
    Buffer change = begin_change();
    append_bytes(change, SessionChangeBytes::released(packet_id).bytes());
    return change;
}

void BrokerSession::note_released(mqtt::PacketId packet_id) {
    is_kept_ = true;
    unreleased_.erase(packet_id);
}

Buffer BrokerSession::filters_change(const Filters& filters) const {
    Buffer change = begin_change();
    for (const auto& [filter, qos] : filters_) {
        if (!filters.contains(filter)) {
            append_bytes(change, listener::unsubscribed_change(filter));
        }
    }
    for (const auto& [filter, qos] : filters) {
        broker::SubscriptionOptions options;
        options.identifier = peer_;
        options.qos = static_cast<mqtt::Qos>(qos);
        append_bytes(change, listener::subscribed_change(filter, options));
    }
    return change;
}

void BrokerSession::note_filters(Filters filters) {
    is_kept_ = true;
    filters_ = std::move(filters);
}

}  // namespace milepost::bridge
