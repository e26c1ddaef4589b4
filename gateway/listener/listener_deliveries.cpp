// The part of the listener that deals with subscribers: SUBSCRIBE and UNSUBSCRIBE, what is sent to
// a device, and its acks.
#include "gateway/listener/listener.hpp"
#include "gateway/mqtt/encode.hpp"
#include "gateway/mqtt/properties.hpp"

#include <algorithm>
#include <utility>

namespace milepost::listener {

namespace {

using broker::Delivery;
using broker::Outgoing;
using broker::Subscriber;

// What one subscriber is sent before the others have their turn.
constexpr std::size_t pump_bytes_max = 256U * 1024;

}  // namespace

// SUBSCRIBE and UNSUBSCRIBE -----------------------------------------------------------------------

// The answer waits for the disk, also where nothing is kept: so it comes after what was published
// before, and retained messages after it. Subscriptions that are repeated because there was no
// room change nothing.
mqtt::Taken Listener::take_subscribe(Connection& connection, const mqtt::Subscribe& subscribe) {
    auto& entry = *connection.entry;
    const auto identifier =
        mqtt::find_number(subscribe.properties, mqtt::PropertyId::subscription_identifier);
    PendingSuback pending{subscribe.ticket, {}, {}};
    std::vector<mqtt::Subscription> granted;
    for (Bytes rest = subscribe.filters; !rest.empty();) {
        const mqtt::Subscription wanted = mqtt::take_subscription(rest);
        auto code = deliveries_.judge(entry, wanted, granted.size());
        if (!mqtt::is_failure(code) && !may_subscribe(connection, wanted.filter)) {
            code = mqtt::ReasonCode::not_authorized;
        }
        pending.codes.push_back(code);
        if (!mqtt::is_failure(code)) granted.push_back(wanted);
    }
    has_appended_ = true;
    deliveries_.close_batch();
    const auto options_of = [&](const mqtt::Subscription& wanted) {
        return broker::SubscriptionOptions{
            .identifier = identifier.value_or(0),
            .qos = wanted.qos,
            .no_local = wanted.no_local,
            .retain_as_published = wanted.retain_as_published};
    };
    if (entry.second.is_kept) {
        for (const mqtt::Subscription& wanted : granted) {
            const Buffer change = subscribed_change(wanted.filter, options_of(wanted));
            if (!events_->on_change(entry.first, change, std::nullopt)) return mqtt::Taken::later;
        }
    }
    for (const mqtt::Subscription& wanted : granted) {
        Subscriber& subscriber = deliveries_.subscriber_of(entry);
        subscriber.connection = connection.index();
        subscriber.window = connection.receive_maximum;
        const bool is_new = subscriber.subscribe(wanted.filter, options_of(wanted));
        if (wanted.retain_handling == 0 || (wanted.retain_handling == 1 && is_new)) {
            pending.scans.push_back({std::string{wanted.filter}, options_of(wanted), {}});
        }
    }
    deliveries_.note_subscriptions();
    if (!connection.subacks) connection.subacks = std::make_unique<std::deque<PendingSuback>>();
    connection.subacks->push_back(std::move(pending));
    events_->on_ride(token_of(connection, subscribe.ticket));
    return mqtt::Taken::yes;
}

mqtt::Taken Listener::take_unsubscribe(Connection& connection, const mqtt::Subscribe& unsubscribe) {
    auto& [client_id, session] = *connection.entry;
    PendingSuback pending{unsubscribe.ticket, {}, {}};
    has_appended_ = true;
    for (Bytes rest = unsubscribe.filters; !rest.empty();) {
        const std::string_view filter = mqtt::take_filter(rest);
        const bool is_known = session.subscriber && session.subscriber->has(filter);
        if (is_known && session.is_kept &&
            !events_->on_change(client_id, unsubscribed_change(filter), std::nullopt)) {
            return mqtt::Taken::later;
        }
        if (is_known) static_cast<void>(session.subscriber->unsubscribe(filter));
        pending.codes.push_back(
            is_known ? mqtt::ReasonCode::success : mqtt::ReasonCode::no_subscription_existed
        );
    }
    deliveries_.note_subscriptions();
    if (!connection.subacks) connection.subacks = std::make_unique<std::deque<PendingSuback>>();
    connection.subacks->push_back(std::move(pending));
    events_->on_ride(token_of(connection, unsubscribe.ticket));
    return mqtt::Taken::yes;
}

void Listener::answer_subscribe(Connection& connection) {
    PendingSuback pending = std::move(connection.subacks->front());
    connection.subacks->pop_front();
    Buffer suback;
    connection.session.subscribe_done(pending.ticket, pending.codes, suback);
    if (!suback.empty()) transmit(connection, suback);
    if (connection.session.is_closed()) return finish(connection);
    Subscriber* subscriber = connection.entry->second.subscriber.get();
    if (subscriber == nullptr) return;
    for (const broker::RetainedScan& scan : pending.scans) {
        if (subscriber->has(scan.filter)) subscriber->scan_retained(scan.filter, scan.options);
    }
    deliveries_.mark(*subscriber);
}

// The device's acks -------------------------------------------------------------------------------

void Listener::take_ack(Connection& connection, mqtt::PacketType type, mqtt::Ack ack) {
    Subscriber* subscriber = connection.entry->second.subscriber.get();
    auto acked = Outgoing::Acked::unknown;
    if (subscriber != nullptr) {
        Outgoing& outgoing = subscriber->outgoing;
        if (type == mqtt::PacketType::puback) acked = outgoing.puback(ack.packet_id);
        if (type == mqtt::PacketType::pubcomp) acked = outgoing.pubcomp(ack.packet_id);
        if (type == mqtt::PacketType::pubrec) {
            acked = outgoing.pubrec(ack.packet_id, mqtt::is_failure(ack.reason));
        }
    }
    switch (acked) {
        case Outgoing::Acked::done:
            deliveries_.done(*subscriber, ack.packet_id);
            deliveries_.mark(*subscriber);
            return;
        case Outgoing::Acked::received: {
            // PUBREL lets the device forget the packet id: that it has the message is durable
            // before, or a crash would send it anew.
            const AckToken token =
                token_of(connection, {ack.packet_id, 0, mqtt::PacketType::pubrel});
            if (!deliveries_.delivered(*subscriber, token)) {
                events_->on_ride(token);
                events_->on_notice("delivered", "a subscriber's PUBREC could not be kept");
            }
            return;
        }
        case Outgoing::Acked::release_again:
            connection.session.release({ack.packet_id, mqtt::ReasonCode::success}, out_);
            return;
        case Outgoing::Acked::waits: return;
        case Outgoing::Acked::unknown: break;
    }
    // Left over from elsewhere: answered so that the device can forget it.
    if (type == mqtt::PacketType::pubrec && !mqtt::is_failure(ack.reason)) {
        const auto reason = mqtt::ReasonCode::packet_identifier_not_found;
        connection.session.release({ack.packet_id, reason}, out_);
    }
}

void Listener::send_release(Connection& connection, mqtt::PacketId packet_id) {
    if (connection.entry == nullptr) return;
    Subscriber* subscriber = connection.entry->second.subscriber.get();
    if (subscriber == nullptr || !subscriber->outgoing.released(packet_id)) return;
    Buffer pubrel;
    connection.session.release({packet_id, mqtt::ReasonCode::success}, pubrel);
    if (!pubrel.empty()) transmit(connection, pubrel);
}

// Sending -----------------------------------------------------------------------------------------

void Listener::begin_deliveries(Connection& connection) {
    ClientSession& session = connection.entry->second;
    if (!session.subscriber) return;
    Subscriber& subscriber = *session.subscriber;
    subscriber.connection = connection.index();
    subscriber.window = connection.receive_maximum;
    subscriber.is_kept = session.is_kept;
    deliveries_.mark(subscriber);
}

void Listener::end_deliveries(Connection& connection) {
    if (connection.entry == nullptr) return;
    Subscriber* subscriber = connection.entry->second.subscriber.get();
    if (subscriber == nullptr || subscriber->connection != connection.index()) return;
    subscriber->connection = no_connection;
    subscriber->outgoing.interrupt();
}

Connection* Listener::connection_of(const Subscriber& subscriber) {
    if (subscriber.connection >= slots_.size()) return nullptr;
    Connection* connection = slots_[subscriber.connection].get();
    const bool is_its = connection != nullptr && connection->entry != nullptr &&
                        connection->entry->second.subscriber.get() == &subscriber;
    return is_its ? connection : nullptr;
}

void Listener::pump_all() {
    for (const auto& marked : deliveries_.take_marked()) {
        if (const auto subscriber = marked.lock()) {
            subscriber->is_to_be_pumped = false;
            pump(*subscriber);
        }
    }
    if (deliveries_.take_wants_commit()) has_appended_ = true;
}

// As much as the socket takes, and delivery_bytes_max more: who does not read is sent no more, and
// what is meant for them waits in their queue, which is bounded.
void Listener::pump(Subscriber& subscriber) {
    Connection* connection = connection_of(subscriber);
    if (connection == nullptr) return;
    std::size_t pumped = 0;
    while (connection->unsent_bytes() < options_.delivery_bytes_max) {
        messages_.clear();
        bool goes_on = true;
        while (goes_on && messages_.size() < options_.delivery_bytes_max)
            goes_on = write_next(*connection, subscriber, messages_);
        if (!messages_.empty() && !connection->deliver(messages_)) break;
        pumped += messages_.size();
        if (goes_on && pumped < pump_bytes_max) continue;
        if (goes_on || deliveries_.scan_retained(subscriber)) {
            deliveries_.mark(subscriber);
            turn_soon();
        }
        break;
    }
    if (connection->unsent_bytes() > 0) queue(*connection);
}

// False: nothing more to write now.
bool Listener::write_next(Connection& connection, Subscriber& subscriber, Buffer& out) {
    const std::size_t window = std::min(subscriber.window, options_.deliveries_in_flight_max);
    const Delivery* next = subscriber.outgoing.next(window);
    if (next == nullptr) return false;
    const mqtt::PacketId packet_id = next->packet_id;
    mqtt::Session& session = connection.session;
    if (next->state == Delivery::State::released) {
        session.release({packet_id, mqtt::ReasonCode::success}, out);
        subscriber.outgoing.sent();
        return true;
    }
    if (next->state == Delivery::State::received) {
        // The connection went before that was durable: it is said again.
        const AckToken token = token_of(connection, {packet_id, 0, mqtt::PacketType::pubrel});
        if (!deliveries_.delivered(subscriber, token)) events_->on_ride(token);
        subscriber.outgoing.sent();
        return true;
    }
    const broker::Message& message = *next->message;
    const bool is_expired = !next->dup && message.is_expired(wall_now_);
    // Queued while other rules held.
    const bool is_forbidden = !next->dup && !may_receive(connection, message.topic);
    mqtt::Publish publish;
    publish.topic = message.topic;
    publish.payload = message.payload;
    publish.ticket.packet_id = packet_id;
    publish.qos = next->qos;
    publish.retain = next->retain;
    publish.dup = next->dup && packet_id != 0;
    if (session.level() == mqtt::ProtocolLevel::v5) {
        using enum mqtt::PropertyId;
        message_properties_.clear();
        for (const std::uint32_t identifier : next->identifiers)
            mqtt::append_number_property(message_properties_, subscription_identifier, identifier);
        if (message.expiry_s) {
            const std::uint32_t rest_s = broker::rest_of_expiry_s(message, wall_now_);
            mqtt::append_number_property(message_properties_, message_expiry_interval, rest_s);
        }
        append_bytes(message_properties_, message.properties);
        publish.properties = message_properties_;
    }
    if (!is_expired && !is_forbidden && session.publish(publish, out)) {
        subscriber.outgoing.sent();
        stats_.deliveries.add();
        return true;
    }
    if (!session.is_connected()) return false;
    (is_expired     ? stats_.expired_deliveries
     : is_forbidden ? stats_.forbidden_deliveries
                    : stats_.oversized_deliveries)
        .add();
    static_cast<void>(subscriber.outgoing.drop_next());
    deliveries_.done(subscriber, packet_id);
    return true;
}

}  // namespace milepost::listener
