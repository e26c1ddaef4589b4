#pragma once

// The subscriber's side of a fuzzed session: one device, which gets what it publishes itself.
#include "gateway/broker/message.hpp"
#include "gateway/broker/retained_store.hpp"
#include "gateway/broker/subscriber.hpp"
#include "gateway/mqtt/decode.hpp"
#include "gateway/mqtt/encode.hpp"
#include "gateway/mqtt/session.hpp"
#include "gateway/mqtt/topic_filter.hpp"
#include "storage/base/check.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace milepost::fuzz {

using namespace mqtt;
using broker::Delivery;
using broker::MessagePtr;
using broker::Outgoing;

// What was written to the device in one connection; one packet behind the other.
inline void check_packets(Bytes sent, ProtocolLevel level, std::uint32_t packet_bytes_max) {
    while (!sent.empty()) {
        const FrameResult next = read_frame(sent, sent.size());
        MILEPOST_CHECK(next.status == FrameStatus::whole && next.frame.is_length_minimal);
        MILEPOST_CHECK(
            next.bytes <= packet_bytes_max || next.frame.type() == PacketType::pubrel ||
            next.bytes <= answer_bytes_max
        );
        Ack ack;
        Connack connack;
        if (next.frame.type() == PacketType::pubrel) {
            MILEPOST_CHECK(decode_ack(next.frame, level, ack) == Errc::none);
        }
        if (next.frame.type() == PacketType::connack) {
            MILEPOST_CHECK(decode_connack(next.frame, level, connack) == Errc::none);
        }
        Publish publish;
        if (next.frame.type() == PacketType::publish) {
            const Errc why = decode_publish(next.frame, level, publish);
            // Subscription identifiers, which only a server sends.
            MILEPOST_CHECK(
                why == Errc::none || (level == ProtocolLevel::v5 && why == Errc::bad_property)
            );
        }
        sent = sent.subspan(next.bytes);
    }
}

// What it has subscribed to, what it is owed, and its retained messages; all of it hangs on the
// calls alone. Packets for the device are appended to the `out` of pump().
class OwnSubscriber {
public:
    static constexpr broker::Outgoing::Limits queue_limits{8, 2048};
    static constexpr broker::RetainedStore::Limits retained_limits{4, 2048};
    static constexpr std::size_t subscriptions_max = 8;
    static constexpr Timestamp now{1'000};

    OwnSubscriber()
        : retained_(retained_limits) {
        begin();
    }

    // A session that begins: nothing is left of the one before.
    void begin() {
        subscriber_.reset();
        subscriptions_.clear();
        MILEPOST_CHECK(tree_.empty() && tree_.size() == 0);
        subscriber_ = std::make_shared<broker::Subscriber>(tree_, "device", queue_limits);
    }

    void connect(std::uint16_t window) { window_ = window; }

    // What is kept over a restart of the gateway: subscriptions, and what is owed with QoS 1 and 2.
    void restart() {
        std::vector<Delivery> owed;
        while (outgoing().next(0xFFFF) != nullptr)
            owed.push_back(outgoing().drop_next());
        MILEPOST_CHECK(outgoing().size() == 0 && outgoing().bytes() == 0);
        const auto subscriptions = std::exchange(subscriptions_, {});
        begin();
        for (const auto& [filter, options] : subscriptions) {
            subscriber_->subscribe(filter, options);
        }
        subscriptions_ = subscriptions;
        for (Delivery& delivery : owed)
            outgoing().restore(std::move(delivery));
    }

    void interrupt() {
        outgoing().interrupt();
        MILEPOST_CHECK(outgoing().in_flight() == 0);
    }

    // As it comes back after a restart.
    [[nodiscard]] static MessagePtr stored(const Publish& publish) {
        const MessagePtr made = broker::make_message(publish, now);
        const Buffer bytes = broker::encode_message(*made);
        MILEPOST_CHECK(broker::is_message(bytes));
        MessagePtr again = broker::decode_message(bytes);
        MILEPOST_CHECK(again && again->topic == made->topic && again->payload == made->payload);
        MILEPOST_CHECK(again->properties == made->properties && again->qos == made->qos);
        MILEPOST_CHECK(again->expiry_s == made->expiry_s && again->retain == made->retain);
        return again;
    }

    ReasonCode subscribe(const Subscription& wanted, std::uint32_t identifier) {
        if (is_shared(wanted.filter)) return ReasonCode::shared_subscriptions_not_supported;
        if (subscriber_->subscriptions() == subscriptions_max) return ReasonCode::quota_exceeded;
        const broker::SubscriptionOptions options{
            identifier,
            wanted.qos,
            wanted.no_local,
            wanted.retain_as_published};
        const bool is_new = subscriber_->subscribe(wanted.filter, options);
        subscriptions_[std::string{wanted.filter}] = options;
        MILEPOST_CHECK(subscriber_->has(wanted.filter));
        if (wanted.retain_handling == 2 || (wanted.retain_handling == 1 && !is_new)) {
            return static_cast<ReasonCode>(wanted.qos);
        }
        std::string after;
        while (true) {
            const auto found = retained_.next(wanted.filter, after, now, 2);
            if (found.message) {
                MILEPOST_CHECK(matches(wanted.filter, found.message->topic));
                queue(found.message, std::min(wanted.qos, found.message->qos), {}, true);
            }
            if (found.is_done) break;
        }
        return static_cast<ReasonCode>(wanted.qos);
    }

    bool unsubscribe(std::string_view filter) {
        subscriptions_.erase(std::string{filter});
        return subscriber_->unsubscribe(filter);
    }

    // To the device itself, if it wants it.
    void spread(const MessagePtr& message, bool is_own) {
        std::vector<const broker::SubscriptionTree::Entry*> found;
        tree_.match(message->topic, found);
        MILEPOST_CHECK(found.size() <= tree_.size());
        std::optional<Qos> qos;
        bool retain = false;
        std::vector<std::uint32_t> identifiers;
        for (const auto* entry : found) {
            if (is_own && entry->options.no_local) continue;
            qos = std::max(qos.value_or(Qos::at_most_once), entry->options.qos);
            retain = retain || (message->retain && entry->options.retain_as_published);
            if (entry->options.identifier != 0) identifiers.push_back(entry->options.identifier);
        }
        if (message->retain) retained_.settle(message->topic, retained_.set(message));
        if (qos) queue(message, std::min(*qos, message->qos), std::move(identifiers), retain);
    }

    // What may be sent now.
    void pump(Session& session, Buffer& out) {
        Outgoing& outgoing = this->outgoing();
        while (session.is_connected()) {
            const Delivery* next = outgoing.next(window_);
            if (next == nullptr) break;
            const PacketId packet_id = next->packet_id;
            if (next->state != Delivery::State::publish) {
                if (next->state == Delivery::State::received) {
                    static_cast<void>(outgoing.released(packet_id));
                }
                session.release({packet_id, ReasonCode::success}, out);
                outgoing.sent();
            } else if (write(*next, session, out)) {
                outgoing.sent();
            } else {
                MILEPOST_CHECK(outgoing.drop_next().packet_id == packet_id);
            }
            MILEPOST_CHECK(outgoing.in_flight() <= window_);
        }
    }

    // The device's PUBACK, PUBREC or PUBCOMP. That it has a publish is durable at once, or with an
    // odd packet id not before the connection is gone.
    void ack(PacketType type, Ack ack, Session& session, Buffer& out) {
        auto acked = Outgoing::Acked::unknown;
        if (type == PacketType::puback) acked = outgoing().puback(ack.packet_id);
        if (type == PacketType::pubcomp) acked = outgoing().pubcomp(ack.packet_id);
        if (type == PacketType::pubrec) {
            acked = outgoing().pubrec(ack.packet_id, is_failure(ack.reason));
        }
        const bool is_durable = acked == Outgoing::Acked::received && ack.packet_id % 2 == 0 &&
                                outgoing().released(ack.packet_id);
        if (is_durable || acked == Outgoing::Acked::release_again) {
            session.release({ack.packet_id, ReasonCode::success}, out);
        }
    }

private:
    broker::Outgoing& outgoing() { return subscriber_->outgoing; }

    void queue(
        const MessagePtr& message,
        Qos qos,
        std::vector<std::uint32_t> identifiers,
        bool retain
    ) {
        Outgoing& outgoing = this->outgoing();
        const auto packet_id = outgoing.reserve(qos, message->bytes());
        if (!packet_id) return;
        if (message->payload.size() == 13) return outgoing.cancel(qos, message->bytes());
        Delivery delivery;
        delivery.message = message;
        delivery.identifiers = std::move(identifiers);
        delivery.packet_id = *packet_id;
        delivery.qos = qos;
        delivery.retain = retain;
        outgoing.put(std::move(delivery));
        MILEPOST_CHECK(outgoing.size() <= queue_limits.messages_max);
        MILEPOST_CHECK(outgoing.bytes() <= queue_limits.bytes_max);
    }

    static bool write(const Delivery& delivery, Session& session, Buffer& out) {
        Buffer properties;
        Publish publish;
        publish.topic = delivery.message->topic;
        publish.payload = delivery.message->payload;
        publish.ticket.packet_id = delivery.packet_id;
        publish.qos = delivery.qos;
        publish.retain = delivery.retain;
        publish.dup = delivery.dup && delivery.packet_id != 0;
        if (session.level() == ProtocolLevel::v5) {
            for (const std::uint32_t identifier : delivery.identifiers)
                append_number_property(properties, PropertyId::subscription_identifier, identifier);
            append_bytes(properties, delivery.message->properties);
            publish.properties = properties;
        }
        return session.publish(publish, out);
    }

    broker::SubscriptionTree tree_;
    broker::RetainedStore retained_;
    std::shared_ptr<broker::Subscriber> subscriber_;
    std::map<std::string, broker::SubscriptionOptions> subscriptions_;
    std::uint16_t window_ = 0xFFFF;
};

}  // namespace milepost::fuzz
