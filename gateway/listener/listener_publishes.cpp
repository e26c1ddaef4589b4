// The part of the listener that deals with publishes: what a session remembers of them decides what
// is written, and what is durable is acknowledged.
#include "gateway/listener/content_hash.hpp"
#include "gateway/listener/listener.hpp"

#include <algorithm>
#include <utility>

namespace milepost::listener {

namespace {

Remembered remembered(const mqtt::Publish& publish) {
    return {
        .hash = content_hash(publish.topic, publish.payload),
        .packet_id = publish.ticket.packet_id};
}

}  // namespace

// A clean session ends with its connection, so no retransmission of a QoS 1 publish can come from
// before it: nothing is remembered, and nothing is spent on it.
mqtt::Taken Listener::take_publish(
    Connection& connection,
    const mqtt::Publish& publish,
    AckToken token
) {
    has_appended_ = true;
    if (publish.qos == mqtt::Qos::exactly_once) return take_qos_2(connection, publish, token);
    if (publish.qos == mqtt::Qos::at_least_once && connection.entry->second.is_kept) {
        return take_qos_1(connection, publish, token);
    }
    return offer(connection, publish, token, {});
}

// The token of a duplicate rides in the open group: that of the first copy, or a later one. So it
// comes back when the first copy is durable, and not before.
mqtt::Taken Listener::take_qos_1(
    Connection& connection,
    const mqtt::Publish& publish,
    AckToken token
) {
    ClientSession& session = connection.entry->second;
    const Remembered first = remembered(publish);
    if (publish.dup && session.memory && session.memory->window.contains(first)) {
        events_->on_duplicate(publish, token);
        return mqtt::Taken::yes;
    }
    const auto change = SessionChangeBytes::published(first);
    const auto taken = offer(connection, publish, token, change.bytes());
    if (taken == mqtt::Taken::yes && !sessions_.remember_qos_1(session, first)) {
        stats_.short_windows.add();
        events_->on_notice(
            "publish_memory_bytes_max",
            "duplicate windows do not grow: publish_memory_bytes_max is reached"
        );
    }
    return taken;
}

// Whether DUP is set or not, a packet id that waits for its PUBREL is the same publish
// (MQTT-4.3.3-10) — unless the content differs: then the device has lost its session and begun to
// count anew, and not to write it would lose a reading.
mqtt::Taken Listener::take_qos_2(
    Connection& connection,
    const mqtt::Publish& publish,
    AckToken token
) {
    auto& [client_id, session] = *connection.entry;
    const Remembered first = remembered(publish);
    const Remembered* known = session.memory ? session.memory->unreleased.find(first.packet_id)
                                             : nullptr;
    const std::size_t waiting = session.memory ? session.memory->unreleased.size() : 0;
    if (known != nullptr && *known == first) {
        events_->on_duplicate(publish, token);
        return mqtt::Taken::yes;
    }
    const bool is_flood = waiting >= options_.unreleased_publishes_max;
    if (known == nullptr && (is_flood || !sessions_.has_room_for_qos_2())) {
        stats_.unreleased_floods.add();
        events_->on_notice(
            "unreleased_publishes_max",
            '"' + client_id +
                (is_flood ? "\" has too many QoS 2 publishes without PUBREL"
                          : "\" closed: publish_memory_bytes_max is reached")
        );
        connection.session.disconnect(mqtt::ReasonCode::quota_exceeded, out_);
        return mqtt::Taken::yes;
    }
    const auto change = SessionChangeBytes::received(first);
    const Bytes kept = session.is_kept ? change.bytes() : Bytes{};
    const auto taken = offer(connection, publish, token, kept);
    // Refused, it is done with in 5.0; in 3.1.1 it is acknowledged like any other, and its PUBREL
    // comes.
    const bool waits = taken == mqtt::Taken::yes ||
                       (taken == mqtt::Taken::refused &&
                        connection.session.level() == mqtt::ProtocolLevel::v3_1_1);
    if (waits) sessions_.remember_qos_2(session, first);
    return taken;
}

// PUBCOMP tells the device that it may use the packet id again, so it must not come back after a
// crash: its token waits for the disk too, also that of a PUBREL that came twice.
mqtt::Taken Listener::take_release(Connection& connection, AckToken token) {
    has_appended_ = true;
    auto& [client_id, session] = *connection.entry;
    const bool is_known = session.memory &&
                          session.memory->unreleased.find(token.packet_id) != nullptr;
    if (!is_known) {
        // In a kept session the id was free before a crash took the PUBCOMP: no fault (5.0, section
        // 3.7.2.1), and MQTT.js would tell its program that the publish has failed.
        if (!session.is_kept) {
            token.reason = static_cast<std::uint8_t>(mqtt::ReasonCode::packet_identifier_not_found);
        }
        events_->on_ride(token);
        return mqtt::Taken::yes;
    }
    if (session.is_kept) {
        const auto change = SessionChangeBytes::released(token.packet_id);
        if (!events_->on_change(client_id, change.bytes(), token)) return mqtt::Taken::later;
    } else {
        events_->on_ride(token);
    }
    sessions_.forget_qos_2(session, token.packet_id);
    return mqtt::Taken::yes;
}

// Acks --------------------------------------------------------------------------------------------

void Listener::acked(std::span<const AckToken> tokens) {
    turn_now_ = monotonic_now();
    ++acked_groups_;
    while (!tokens.empty()) {
        const AckToken& first = tokens.front();
        const auto other = std::find_if(tokens.begin(), tokens.end(), [&](const AckToken& token) {
            return token.connection != first.connection || token.generation != first.generation;
        });
        const auto run = static_cast<std::size_t>(other - tokens.begin());
        if (first.connection == deliveries_connection) {
            for (std::size_t i = 0; i < run; ++i)
                deliveries_.durable();
        } else if (Connection* connection = find(first.connection, first.generation)) {
            send_acks(*connection, tokens.first(run));
        }
        tokens = tokens.subspan(run);
    }
    // Room has been made for those that were put off.
    for (const std::uint64_t tag : std::exchange(stalled_, {})) {
        Connection* connection = find(tag);
        if (connection == nullptr || connection->awaits != mqtt::Awaits::room) continue;
        connection->awaits = mqtt::Awaits::acks;
        queue(*connection);
    }
    pump_all();
    if (!queued_.empty() || has_appended_ || !put_off_.empty()) turn_soon();
}

void Listener::send_acks(Connection& connection, std::span<const AckToken> tokens) {
    const auto micros_now = static_cast<std::uint32_t>(
        std::chrono::duration_cast<std::chrono::microseconds>(turn_now_.time_since_epoch()).count()
    );
    acks_.resize(tokens.size() * mqtt::answer_bytes_max);
    std::size_t bytes = 0;
    std::size_t counted = 0;
    for (std::size_t i = 0; i < tokens.size(); ++i) {
        const AckToken& token = tokens[i];
        if (token.packet_id == 0) {
            const auto pending = pending_connects_.extract(tag_of(connection));
            if (!pending.empty()) accept(connection, pending.mapped());
            continue;
        }
        const auto answer = static_cast<mqtt::PacketType>(token.answer);
        if (!mqtt::is_ack_of_ours(answer)) {
            if (bytes > 0) transmit(connection, Bytes{acks_.data(), bytes});
            bytes = 0;
            if (answer == mqtt::PacketType::pubrel) {
                send_release(connection, token.packet_id);
            } else {
                answer_subscribe(connection);
            }
            continue;
        }
        bytes += connection.session.publish_done(
            {token.packet_id, token.weight, answer},
            static_cast<mqtt::ReasonCode>(token.reason),
            acks_.data() + bytes
        );
        if (answer != mqtt::PacketType::pubcomp) ++counted;
        if (i + 1 == tokens.size() || tokens[i + 1].received_micros != token.received_micros) {
            stats_.ack_latency_micros.record(micros_now - token.received_micros, counted);
            stats_.acks.add(counted);
            counted = 0;
        }
    }
    if (bytes > 0) transmit(connection, Bytes{acks_.data(), bytes});
    if (connection.awaits != mqtt::Awaits::bytes) queue(connection);
}

void Listener::set_intake_open(bool is_open) {
    if (!is_open) {
        if (!std::exchange(is_intake_open_, false)) return;
        intake_closed_at_ = monotonic_now();
        return await_intake();
    }
    is_intake_open_ = true;
    offer_wills();
    acked({});
}

// One deadline at a time: under load the ring is full, and soon has room again, many times a
// second.
void Listener::await_intake() {
    if (std::exchange(is_intake_awaited_, true)) return;
    deadlines_.add({intake_closed_at_ + closed_for_long_after, 0, Deadline::Kind::intake});
    arm_timer();
}

bool Listener::is_closed_for_long() const {
    return !is_intake_open_ && turn_now_ - intake_closed_at_ >= closed_for_long_after;
}

}  // namespace milepost::listener
