// The part of the deliveries that begins with a publish, and that with a restart.
#include "gateway/listener/deliveries.hpp"

#include <algorithm>

namespace milepost::listener {

namespace {

using broker::Delivery;
using broker::MessagePtr;
using broker::StoredRowPtr;
using broker::Subscriber;
using mqtt::Qos;
using mqtt::Taken;

// What a row or a change takes in a group beside its own bytes, generously.
constexpr std::size_t section_bytes = 64;
constexpr std::size_t message_head_bytes = 64;

}  // namespace

Deliveries::Deliveries(const Options& options, Events& events, ListenerStats& stats)
    : options_(&options)
    , events_(&events)
    , stats_(&stats)
    , retained_({options.retained_messages_max, options.retained_bytes_max}) {}

Taken Deliveries::publish(
    const mqtt::Publish& publish,
    std::string_view client_id,
    AckToken token,
    Bytes change
) {
    collect(publish.topic, publish.qos, client_id);
    const bool sets_retained = publish.retain &&
                               (!publish.payload.empty() || retained_.has(publish.topic));
    const std::size_t wanted = room_bytes(publish, sets_retained);
    // Record, rows and changes come into one group.
    if (wanted > 0 && publish.qos != Qos::at_most_once && !events_->has_room(wanted)) {
        return Taken::later;
    }
    const Taken taken = events_->on_publish(publish, client_id, token, change);
    if (taken == Taken::yes) deliver(publish, sets_retained);
    return taken;
}

bool Deliveries::will(const StoredWill& will, std::string_view client_id) {
    const Taken taken = events_->on_will(will, client_id);
    if (taken != Taken::yes) return taken == Taken::refused;
    mqtt::Publish publish;
    publish.topic = will.topic;
    publish.payload = will.payload;
    publish.properties = will.properties;
    publish.qos = will.qos;
    publish.retain = will.retain;
    if (!concerns(publish)) return true;
    collect(publish.topic, publish.qos, client_id);
    deliver(publish, publish.retain && (!publish.payload.empty() || retained_.has(publish.topic)));
    return true;
}

// Who gets it: each subscriber once, with the highest QoS of its subscriptions that match and the
// identifiers of all of them (MQTT-3.3.4-2, -4).
void Deliveries::collect(std::string_view topic, Qos qos, std::string_view client_id) {
    matched_.clear();
    targets_used_ = 0;
    tree_.match(topic, matched_);
    ++match_;
    for (const auto* entry : matched_) {
        Subscriber& subscriber = *entry->subscriber;
        const auto& options = entry->options;
        if (options.no_local && subscriber.client_id() == client_id) continue;
        if (subscriber.match != match_) {
            subscriber.match = match_;
            subscriber.match_index = targets_used_++;
            if (targets_.size() < targets_used_) targets_.emplace_back();
            Target& fresh = targets_[subscriber.match_index];
            fresh.subscriber = &subscriber;
            fresh.qos = Qos::at_most_once;
            fresh.retain_as_published = false;
            fresh.identifiers.clear();
        }
        Target& target = targets_[subscriber.match_index];
        target.qos = std::max(target.qos, std::min(qos, options.qos));
        target.retain_as_published = target.retain_as_published || options.retain_as_published;
        if (options.identifier != 0) target.identifiers.push_back(options.identifier);
    }
}

// What rows and changes take in the group beside the record; 0: there are none.
std::size_t Deliveries::room_bytes(const mqtt::Publish& publish, bool sets_retained) const {
    const std::size_t whole = message_head_bytes + publish.topic.size() + publish.payload.size() +
                              publish.properties.size();
    std::size_t bytes = sets_retained ? whole + publish.topic.size() + section_bytes : 0;
    bool has_row = false;
    for (std::size_t i = 0; i < targets_used_; ++i) {
        const Target& target = targets_[i];
        if (target.qos == Qos::at_most_once || !target.subscriber->is_kept) continue;
        if (!std::exchange(has_row, true)) bytes += whole + section_bytes;
        bytes += target.subscriber->client_id().size() + section_bytes +
                 4 * target.identifiers.size();
    }
    return bytes == 0 ? 0 : bytes + whole + section_bytes;  // the record itself
}

void Deliveries::deliver(const mqtt::Publish& publish, bool sets_retained) {
    if (targets_used_ == 0 && !sets_retained) return;
    const MessagePtr message = counted(broker::make_message(publish, now_));
    StoredRowPtr row;
    for (std::size_t i = 0; i < targets_used_; ++i) {
        const Target& target = targets_[i];
        Subscriber& subscriber = *target.subscriber;
        if (target.qos == Qos::at_most_once && subscriber.connection == no_connection) continue;
        Delivery delivery;
        delivery.qos = target.qos;
        delivery.retain = publish.retain && target.retain_as_published;
        delivery.identifiers = target.identifiers;
        static_cast<void>(offer(subscriber, message, std::move(delivery), row));
    }
    if (sets_retained) retain(message);
}

// What a subscriber's acks mean for the disk ------------------------------------------------------

// Not waited for: after a crash it may be sent once more, under the same packet id.
void Deliveries::done(const Subscriber& subscriber, mqtt::PacketId packet_id) {
    if (packet_id == 0 || !subscriber.is_kept) return;
    if (!events_->on_change(subscriber.client_id(), done_change(packet_id), std::nullopt)) {
        wants_commit_ = true;  // makes room
    }
}

bool Deliveries::delivered(const Subscriber& subscriber, AckToken token) {
    wants_commit_ = true;
    if (!subscriber.is_kept) {
        events_->on_ride(token);
        return true;
    }
    const Buffer change = delivered_change(token.packet_id);
    return events_->on_change(subscriber.client_id(), change, token);
}

// From before the restart -------------------------------------------------------------------------

bool Deliveries::restore_row(std::string_view key, Bytes bytes) {
    if (!key.starts_with('\0')) return false;
    const MessagePtr message = broker::decode_message(bytes);
    if (const auto number = broker::row_of_key(key)) {
        // Also one that is no message: it is forgotten.
        auto row = rows_.restore(*number);
        restored_[*number] = {message ? counted(message) : nullptr, std::move(row)};
    } else if (message && broker::retained_topic_of_key(key) == message->topic) {
        retained_.restore(counted(message));
        stats_->retained_messages.set(static_cast<std::int64_t>(retained_.size()));
    }
    return true;
}

void Deliveries::restore_subscriber(SessionTable::Entry& entry, const SubscriberState& state) {
    if (state.empty()) return;
    Subscriber& subscriber = subscriber_of(entry);
    for (const auto& [filter, options] : state.subscriptions) {
        subscriber.subscribe(filter, options);
    }
    for (const StoredDelivery& stored : state.queue) {
        rows_.note(stored.row);
        const auto found = restored_.find(stored.row);
        if (found == restored_.end() || !found->second.message || stored.packet_id == 0) continue;
        Delivery delivery;
        delivery.message = found->second.message;
        delivery.row = found->second.row;
        delivery.identifiers = stored.identifiers;
        delivery.packet_id = stored.packet_id;
        delivery.qos = stored.qos;
        delivery.retain = stored.retain;
        if (stored.is_received) delivery.state = Delivery::State::released;
        subscriber.outgoing.restore(std::move(delivery));
    }
    note_subscriptions();
}

void Deliveries::restored() {
    restored_.clear();
}

}  // namespace milepost::listener
