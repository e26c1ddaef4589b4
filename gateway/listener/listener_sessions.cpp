// The part of the listener that deals with who a connection is: CONNECT, take-over, wills, the end,
// and time.
#include "gateway/listener/listener.hpp"

#include <algorithm>
#include <array>
#include <random>
#include <utility>

#include <sys/socket.h>

namespace milepost::listener {

namespace {

// Timers are armed on this grid, so that many deadlines wake the process once.
constexpr auto timer_grid = std::chrono::milliseconds{250};

std::string random_client_id() {
    static constexpr std::string_view digits = "0123456789abcdef";
    std::random_device device;
    std::string id = "auto-";
    for (int word = 0; word < 4; ++word) {
        for (std::uint32_t bits = device(), i = 0; i < 8; ++i, bits >>= 4U) {
            id += digits[bits & 0xFU];
        }
    }
    return id;
}

}  // namespace

void Listener::open_session(
    Connection& connection,
    const mqtt::Connect& connect,
    std::unique_ptr<StoredWill> will
) {
    mqtt::Connect wanted = connect;
    PendingConnect pending;
    if (wanted.client_id.empty()) {
        const bool is_user = rules_of(connection).client_id_is_user;
        pending.assigned_client_id = is_user ? connection.user : random_client_id();
        wanted.client_id = pending.assigned_client_id;
    }
    if (wanted.session_expiry_s > options_.session_expiry_s_max) {
        wanted.session_expiry_s = options_.session_expiry_s_max;
        pending.session_expiry_s = options_.session_expiry_s_max;
    }
    auto opened = sessions_.open(wanted, connection.index(), wall_now_);
    if (!opened) {
        stats_.refused_sessions.add();
        events_->on_notice("sessions_max", "CONNECT refused: sessions_max is reached");
        return refuse(connection, mqtt::ReasonCode::server_busy);
    }
    connection.entry = opened->entry;
    connection.receive_maximum = connect.receive_maximum;
    deliveries_.note_subscriptions();
    pending.session_present = opened->session_present;
    if (opened->taken_over != no_connection) {
        take_over(opened->taken_over, opened->session_present);
    }
    // A will that waits is not published when its session goes on, and at once when it does not
    // (MQTT-3.1.3-9).
    if (auto waiting = waiting_wills_.extract(std::string{wanted.client_id}); !waiting.empty()) {
        if (!opened->session_present) {
            publish_will(std::move(waiting.mapped().will), wanted.client_id, 0);
        }
    }
    connection.will = std::move(will);
    stats_.sessions.set(static_cast<std::int64_t>(sessions_.size()));

    const AckToken token = token_of(connection);
    if (opened->change) {
        if (!events_->on_session(*opened->change, token)) {
            connection.will.reset();
            return refuse(connection, mqtt::ReasonCode::server_unavailable);
        }
    } else if (opened->taken_over != no_connection) {
        // What was read from the old connection is on the disk before the new one is accepted.
        events_->on_ride(token);
    } else {
        return accept(connection, pending);
    }
    has_appended_ = true;
    pending_connects_.insert_or_assign(tag_of(connection), std::move(pending));
}

void Listener::take_over(std::uint32_t index, bool session_goes_on) {
    stats_.takeovers.add();
    Connection* old = index < slots_.size() ? slots_[index].get() : nullptr;
    if (old == nullptr || old->entry == nullptr) return;
    const std::string& client_id = old->entry->first;
    Buffer goodbye;
    const bool will_is_due = old->session.is_will_due();
    old->session.disconnect(mqtt::ReasonCode::session_taken_over, goodbye);
    if (!goodbye.empty()) old->send(goodbye);
    if (will_is_due && old->will) {
        const bool is_withdrawn = session_goes_on && old->will->delay_s > 0;
        if (!is_withdrawn) publish_will(std::move(*old->will), client_id, 0);
    }
    old->will.reset();
    end_deliveries(*old);
    old->entry = nullptr;  // it belongs to the new connection
    end(*old);
}

void Listener::accept(Connection& connection, const PendingConnect& pending) {
    mqtt::Acceptance acceptance;
    acceptance.session_present = pending.session_present;
    acceptance.assigned_client_id = pending.assigned_client_id;
    acceptance.session_expiry_s = pending.session_expiry_s;
    Buffer connack;
    connection.session.accept(acceptance, connack);
    if (connack.empty()) return;
    stats_.connects.add();
    transmit(connection, connack);
    begin_deliveries(connection);
    connection.keep_alive = mqtt::KeepAlive{connection.session.keep_alive_s(), turn_now_};
    if (const auto deadline = connection.keep_alive.deadline()) {
        deadlines_.add({*deadline, tag_of(connection), Deadline::Kind::keep_alive});
        arm_timer();
    }
}

void Listener::refuse(Connection& connection, mqtt::ReasonCode reason) {
    Buffer connack;
    connection.session.refuse(reason, connack);
    if (!connack.empty()) transmit(connection, connack);
}

void Listener::transmit(Connection& connection, Bytes bytes) {
    // A broken socket is noticed by the poller; what was read from it still counts.
    if (!connection.send(bytes) || connection.unsent_bytes() > 0) queue(connection);
}

void Listener::finish(Connection& connection) {
    if (connection.session.closed_because() != mqtt::Errc::client_disconnected &&
        connection.session.closed_because() != mqtt::Errc::refused_by_owner) {
        stats_.protocol_errors.add();
        const std::string client = connection.entry == nullptr
                                       ? "a connection"
                                       : '"' + connection.entry->first + '"';
        events_->on_notice(
            "protocol_error",
            "closed " + client + ": " + mqtt::text_of(connection.session.closed_because())
        );
    }
    connection.flush();
    connection.close_output();
    end(connection);
}

void Listener::end(Connection& connection) {
    const std::uint64_t tag = tag_of(connection);
    poller_.remove(connection.socket());
    pending_connects_.erase(tag);
    end_deliveries(connection);
    forget_login(tag);
    if (SessionTable::Entry* entry = std::exchange(connection.entry, nullptr)) {
        if (connection.will && connection.session.is_will_due()) {
            const std::uint32_t expiry_s = connection.leaving_expiry_s.value_or(
                entry->second.expiry_s
            );
            const std::uint32_t delay_s = std::min(connection.will->delay_s, expiry_s);
            publish_will(std::move(*connection.will), entry->first, delay_s);
        }
        const auto change = sessions_.close(*entry, connection.leaving_expiry_s, wall_now_);
        if (change && events_->on_session(*change, std::nullopt)) has_appended_ = true;
        sessions_.drop_if_ended(*entry);
        deliveries_.note_subscriptions();
        stats_.sessions.set(static_cast<std::int64_t>(sessions_.size()));
    }
    stats_.connections.add(-1);
    leave(connection.address);
    free_slots_.push_back(connection.index());
    // Callers further up may still hold the reference.
    ended_.push_back(std::move(slots_[connection.index()]));
    if (has_appended_) turn_soon();
}

void Listener::publish_will(StoredWill will, std::string_view client_id, std::uint32_t delay_s) {
    if (delay_s == 0 && offer_will(will, client_id)) {
        has_appended_ = true;
        return;
    }
    if (waiting_wills_.size() >= options_.waiting_wills_max) {
        stats_.dropped_wills.add();
        events_->on_notice("waiting_wills_max", "will dropped: waiting_wills_max is reached");
        return;
    }
    const Instant due = turn_now_ + std::chrono::seconds{delay_s};
    waiting_wills_.insert_or_assign(std::string{client_id}, WaitingWill{std::move(will), due});
    deadlines_.add({due, 0, Deadline::Kind::will});
    arm_timer();
}

void Listener::offer_wills() {
    const Instant now = monotonic_now();
    for (auto it = waiting_wills_.begin(); it != waiting_wills_.end();) {
        if (it->second.due <= now && offer_will(it->second.will, it->first)) {
            has_appended_ = true;
            it = waiting_wills_.erase(it);
        } else {
            ++it;
        }
    }
    if (has_appended_) turn_soon();
}

// Time --------------------------------------------------------------------------------------------

void Listener::arm_timer() {
    const auto next = deadlines_.next();
    if (!next || *next >= timer_at_) return;
    const auto since_epoch = next->time_since_epoch();
    const auto steps = since_epoch / timer_grid + 1;
    timer_at_ = Instant{std::chrono::duration_cast<Duration>(steps * timer_grid)};
    timer_.expires_at(timer_at_);
    timer_.async_wait([this](ErrorCode error) {
        if (!error) on_timer();
    });
}

void Listener::on_timer() {
    timer_at_ = Instant::max();
    turn_now_ = monotonic_now();
    wall_now_ = wall_now();
    deliveries_.set_now(wall_now_);
    events_->on_turn(wall_now_);
    while (const auto deadline = deadlines_.take_due(turn_now_))
        on_deadline(*deadline);
    arm_timer();
    end_turn();
}

void Listener::on_deadline(const Deadline& deadline) {
    if (deadline.kind == Deadline::Kind::will) return offer_wills();
    if (deadline.kind == Deadline::Kind::intake) {
        is_intake_awaited_ = false;
        if (!is_intake_open_ && !is_closed_for_long()) await_intake();
        return;  // the turn's end sees to those that were put off
    }
    if (deadline.kind == Deadline::Kind::expiry) {
        for (const std::string& client_id : sessions_.expire(wall_now_)) {
            if (events_->on_session({client_id, {}}, std::nullopt)) has_appended_ = true;
        }
        deliveries_.forget_expired();
        deliveries_.note_subscriptions();
        stats_.sessions.set(static_cast<std::int64_t>(sessions_.size()));
        deadlines_.add({turn_now_ + std::chrono::hours{1}, 0, Deadline::Kind::expiry});
        return;
    }
    Connection* connection = find(deadline.tag);
    if (connection == nullptr) return;
    if (deadline.kind == Deadline::Kind::connect) {
        if (connection->session.is_connected() || connection->awaits == mqtt::Awaits::answer)
            return;
        stats_.connect_timeouts.add();
        events_->on_notice("connect_timeout", "closed a connection: no CONNECT in connect_timeout");
        return end(*connection);
    }
    if (deadline.kind == Deadline::Kind::rate) {
        connection->is_over_rate = false;
        return queue(*connection);
    }
    if (deadline.kind == Deadline::Kind::write) return on_write_deadline(*connection);
    if (connection->keep_alive.is_expired(turn_now_)) {
        stats_.keep_alive_timeouts.add();
        Buffer goodbye;
        connection->session.disconnect(mqtt::ReasonCode::keep_alive_timeout, goodbye);
        if (!goodbye.empty()) connection->send(goodbye);
        connection->close_output();
        return end(*connection);
    }
    // Paused: it gets a whole new span when it is read again.
    const auto span = std::chrono::seconds{connection->session.keep_alive_s()};
    const Instant next = connection->keep_alive.deadline().value_or(turn_now_ + span + span / 2);
    deadlines_.add({next, deadline.tag, Deadline::Kind::keep_alive});
}

}  // namespace milepost::listener
