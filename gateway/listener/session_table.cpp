#include "gateway/listener/session_table.hpp"

#include <utility>

namespace milepost::listener {

namespace {

Buffer encode(const ClientSession& session) {
    const auto header = SessionChangeBytes::header(session.expiry_s, session.disconnected_at);
    return {header.bytes().begin(), header.bytes().end()};
}

}  // namespace

bool SessionTable::is_expired(const ClientSession& session, Timestamp now) {
    if (session.connection != no_connection || session.expiry_s == mqtt::session_expiry_never) {
        return false;
    }
    const std::int64_t expiry_ms = std::int64_t{session.expiry_s} * 1000;
    return now - session.disconnected_at >= expiry_ms;
}

SessionTable::Entry* SessionTable::restore(
    std::string_view client_id,
    Bytes state,
    Timestamp now,
    SubscriberState& subscriber
) {
    auto kept = decode_session_state(state);
    if (!kept) return nullptr;
    ClientSession session;
    session.expiry_s = kept->expiry_s;
    session.disconnected_at = kept->disconnected_at;
    session.is_kept = true;
    if (session.disconnected_at == timestamp_none) session.disconnected_at = now;
    if (is_expired(session, now) || sessions_.size() >= sessions_max_) return nullptr;
    // Packet ids of QoS 2 are kept at any price: without them a reading is doubled for certain.
    if (remembered_ + kept->memory.size() > publish_memory_max_) kept->memory.window = {};
    if (!kept->memory.empty()) {
        session.memory = std::make_unique<PublishMemory>(std::move(kept->memory));
        remembered_ += session.memory->size();
    }
    if (const auto there = sessions_.find(std::string{client_id}); there != sessions_.end()) {
        forget_all(there->second);
    }
    subscriber = std::move(kept->subscriber);
    return &*sessions_.insert_or_assign(std::string{client_id}, std::move(session)).first;
}

std::optional<SessionTable::Opened> SessionTable::open(
    const mqtt::Connect& connect,
    std::uint32_t connection,
    Timestamp now
) {
    auto found = sessions_.find(std::string{connect.client_id});
    if (found == sessions_.end()) {
        if (sessions_.size() >= sessions_max_) return std::nullopt;
        found = sessions_.emplace(connect.client_id, ClientSession{}).first;
    }
    ClientSession& session = found->second;

    Opened opened;
    opened.entry = &*found;
    opened.taken_over = session.connection;
    const bool was_kept = session.is_kept && !is_expired(session, now);
    opened.session_present = was_kept && !connect.clean_start;

    // A 3.1.1 session that is never ends needs no word when it is resumed; all others do, so that
    // the time of a disconnect before a restart does not end a session that is connected again.
    const bool same = opened.session_present && session.expiry_s == connect.session_expiry_s &&
                      session.expiry_s == mqtt::session_expiry_never;
    const bool had_state = session.is_kept;
    if (!opened.session_present) {
        forget_all(session);
        session.subscriber.reset();
    }
    session.connection = connection;
    session.expiry_s = connect.session_expiry_s;
    session.disconnected_at = timestamp_none;
    session.is_kept = session.expiry_s != 0;
    if (session.is_kept && !same) {
        opened.change = SessionChange{found->first, encode(session), !opened.session_present};
    } else if (!session.is_kept && had_state) {
        opened.change = SessionChange{found->first, {}, false};
    }
    return opened;
}

std::optional<SessionChange> SessionTable::close(
    Entry& entry,
    std::optional<std::uint32_t> expiry_s,
    Timestamp now
) {
    ClientSession& session = entry.second;
    const bool had_state = session.is_kept;
    const bool changes = expiry_s.has_value() && *expiry_s != session.expiry_s;
    if (expiry_s) session.expiry_s = *expiry_s;
    session.connection = no_connection;
    session.disconnected_at = now;
    session.is_kept = session.expiry_s != 0;
    if (!session.is_kept) {
        return had_state ? std::optional{SessionChange{entry.first, {}, false}} : std::nullopt;
    }
    if (session.expiry_s == mqtt::session_expiry_never && had_state && !changes)
        return std::nullopt;
    return SessionChange{entry.first, encode(session), false};
}

void SessionTable::drop_if_ended(Entry& entry) {
    if (entry.second.is_kept || entry.second.connection != no_connection) return;
    forget_all(entry.second);
    const std::string client_id = entry.first;
    sessions_.erase(client_id);
}

std::vector<std::string> SessionTable::expire(Timestamp now) {
    std::vector<std::string> gone;
    for (auto it = sessions_.begin(); it != sessions_.end();) {
        if (is_expired(it->second, now)) {
            if (it->second.is_kept) gone.push_back(it->first);
            forget_all(it->second);
            it = sessions_.erase(it);
        } else {
            ++it;
        }
    }
    return gone;
}

SessionTable::Entry* SessionTable::find(std::string_view client_id) {
    const auto found = sessions_.find(std::string{client_id});
    return found == sessions_.end() ? nullptr : &*found;
}

bool SessionTable::remember_qos_1(ClientSession& session, Remembered publish) {
    if (!session.memory) session.memory = std::make_unique<PublishMemory>();
    DuplicateWindow& window = session.memory->window;
    if (remembered_ >= publish_memory_max_ && window.size() < DuplicateWindow::entries_max) {
        window.add_in_place(publish);
        return false;
    }
    const std::size_t before = window.size();
    window.add(publish);
    remembered_ += window.size() - before;
    return true;
}

void SessionTable::remember_qos_2(ClientSession& session, Remembered publish) {
    if (!session.memory) session.memory = std::make_unique<PublishMemory>();
    UnreleasedPublishes& unreleased = session.memory->unreleased;
    const std::size_t before = unreleased.size();
    unreleased.put(publish);
    remembered_ += unreleased.size() - before;
}

void SessionTable::forget_qos_2(ClientSession& session, mqtt::PacketId packet_id) {
    if (session.memory && session.memory->unreleased.erase(packet_id)) --remembered_;
}

void SessionTable::forget_all(ClientSession& session) {
    if (session.memory) remembered_ -= session.memory->size();
    session.memory.reset();
}

}  // namespace milepost::listener
