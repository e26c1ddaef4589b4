// The part of the listener that is one turn of the event loop: what is ready is read, committed and
// answered; who waits for something is looked at once.
#include "gateway/listener/listener.hpp"

#include <boost/asio/post.hpp>

#include <chrono>
#include <utility>

namespace milepost::listener {

namespace asio = boost::asio;

namespace {

// Who brings this much at once sends more than now and then a reading.
constexpr std::size_t much_bytes = 8U * 1024;
// Those who do send now and then are awaited for so long.
constexpr std::chrono::seconds others_are_gone_after{1};

// Turns on end before timers, posted work and new connections have theirs.
constexpr std::size_t turns_on_end_max = 4;

// Another look into the poller, before the commit, costs about as much as one socket's read. Worth
// it when the last one found so many sockets: by the time they are read, others are ready, and the
// group that they get into saves a sync. Up to so many bytes a turn.
constexpr std::size_t look_again_from = 8;
constexpr std::size_t looks_max = 4;
constexpr std::size_t look_again_bytes_max = 256U * 1024;

}  // namespace

// What a session hands over while it reads one connection's bytes.
struct Listener::Sink {
    Listener& listener;
    Connection& connection;

    void on_connect(const mqtt::Connect& connect) { listener.connected(connection, connect); }

    mqtt::Taken on_publish(const mqtt::Publish& publish) {
        const auto token = listener.token_of(connection, publish.ticket);
        const auto taken = listener.take_publish(connection, publish, token);
        if (connection.rate && taken != mqtt::Taken::later) connection.rate->message();
        return taken;
    }

    mqtt::Taken on_release(mqtt::Ticket release) {
        return listener.take_release(connection, listener.token_of(connection, release));
    }

    mqtt::Taken on_subscribe(const mqtt::Subscribe& subscribe) {
        return listener.take_subscribe(connection, subscribe);
    }

    mqtt::Taken on_unsubscribe(const mqtt::Subscribe& unsubscribe) {
        return listener.take_unsubscribe(connection, unsubscribe);
    }

    void on_ack(mqtt::PacketType type, mqtt::Ack ack) { listener.take_ack(connection, type, ack); }

    void on_disconnect(const mqtt::Disconnect& leaving) {
        connection.leaving_expiry_s = leaving.session_expiry_s;
    }
};

void Listener::watch_poller() {
    poller_watch_.async_wait(asio::posix::stream_descriptor::wait_read, [this](ErrorCode error) {
        if (error) return;
        turns();
        watch_poller();
    });
}

void Listener::turn_soon() {
    if (std::exchange(turn_is_posted_, true)) return;
    asio::post(*io_, [this] {
        turn_is_posted_ = false;
        turn(poller_.ready());
    });
}

// On end while acks go out within the turn, as they do on a quick disk: no call of the io_context's
// in between. From a slow one they come as posted work, which must not wait.
void Listener::turns() {
    auto events = poller_.ready();
    for (std::size_t i = 0; i < turns_on_end_max; ++i) {
        turn(events);
        if (!acks_within_turns_ || i + 1 == turns_on_end_max) return;
        events = poller_.ready();
        if (events.empty()) return;
    }
}

void Listener::turn(std::span<const epoll_event> events) {
    turn_now_ = monotonic_now();
    wall_now_ = wall_now();
    deliveries_.set_now(wall_now_);
    handshake_time_left_ = handshake_time_per_turn;
    turn_bytes_ = 0;
    events_->on_turn(wall_now_);
    read_put_off();
    for (const epoll_event& event : events) {
        if (Connection* connection = find(event.data.u64)) on_ready(*connection, event.events);
    }
    if (acks_within_turns_) look_again(events.size());
    end_turn();
}

// One that waits for the turn's end is not read any more.
void Listener::look_again(std::size_t found) {
    for (std::size_t look = 1; look < looks_max; ++look) {
        if (found < look_again_from || turn_bytes_ >= look_again_bytes_max) return;
        const auto events = poller_.ready();
        for (const epoll_event& event : events) {
            Connection* connection = find(event.data.u64);
            if (connection == nullptr || connection->is_queued) continue;
            on_ready(*connection, event.events);
        }
        found = events.size();
    }
}

void Listener::on_ready(Connection& connection, std::uint32_t events) {
    if (connection.is_shaking_hands) return shake_hands(connection);
    if ((events & EPOLLOUT) != 0) {
        if (!connection.flush()) return end(connection);
        queue(connection);
        if (connection.entry != nullptr && connection.entry->second.subscriber) {
            deliveries_.mark(*connection.entry->second.subscriber);
        }
    }
    if ((events & EPOLLIN) != 0 && connection.is_reading) {
        if (connection.sends_much && (!put_off_.empty() || !takes_much())) {
            return put_off(connection);
        }
        return read(connection);
    }
    // Nobody is there any more; what was read from it is still made durable.
    if ((events & (EPOLLERR | EPOLLHUP)) != 0) end(connection);
}

// Whether one that sends much may add to the open group. Where all do, nobody waits for less. And a
// group may stay as it is for hours while nothing is taken in: pings must still be read.
bool Listener::takes_much() const {
    return events_->wants_more() || turn_now_ - little_came_at_ > others_are_gone_after ||
           is_closed_for_long();
}

// A group that is full enough is committed before those who send much are read again, in the order
// in which they came: so a device with one reading waits for a share of what the others have under
// way, and not for all of it.
void Listener::put_off(Connection& connection) {
    connection.is_put_off = true;
    put_off_.push_back(tag_of(connection));
    watch(connection, /*reads=*/false, connection.is_writing);
}

void Listener::read_put_off() {
    while (!put_off_.empty() && takes_much()) {
        const std::uint64_t tag = put_off_.front();
        put_off_.pop_front();
        Connection* connection = find(tag);
        if (connection == nullptr) continue;
        connection->is_put_off = false;
        queue(*connection);  // it is watched again
        if (is_reading_ && !connection->is_over_rate && connection->awaits == mqtt::Awaits::bytes) {
            read(*connection);
        }
    }
}

void Listener::read(Connection& connection) {
    const auto got = connection.receive(receive_buffer_);
    if (!got) return end(connection);
    if (*got == 0) return;
    connection.sends_much = *got >= much_bytes;
    if (!connection.sends_much) little_came_at_ = turn_now_;
    stats_.received_bytes.add(*got);
    turn_bytes_ += *got;
    if (connection.rate) connection.rate->bytes(*got);
    if (connection.has_more_input()) queue(connection);
    const Bytes bytes{receive_buffer_.data(), *got};
    if (connection.input.empty()) return process(connection, bytes, /*is_own_input=*/false);
    append_bytes(connection.input, bytes);
    if (connection.input.size() >= connection.input_wanted) process_input(connection);
}

void Listener::process_input(Connection& connection) {
    process(connection, connection.input, /*is_own_input=*/true);
}

void Listener::process(Connection& connection, Bytes input, bool is_own_input) {
    out_.clear();
    Sink sink{*this, connection};
    const mqtt::Received received = connection.session.receive(input, sink, out_);
    if (received.consumed > 0) connection.keep_alive.packet(turn_now_);
    if (is_own_input) {
        auto& own = connection.input;
        own.erase(own.begin(), own.begin() + static_cast<std::ptrdiff_t>(received.consumed));
        if (own.empty()) own = Buffer{};
    } else if (received.consumed < input.size()) {
        const Bytes rest = input.subspan(received.consumed);
        connection.input.assign(rest.begin(), rest.end());
    }
    if (connection.rate) check_rate(connection);
    connection.awaits = received.awaits;
    connection.input_wanted = received.wanted;
    if (!out_.empty()) transmit(connection, out_);
    if (received.awaits == mqtt::Awaits::close) return finish(connection);
    if (received.awaits != mqtt::Awaits::bytes) queue(connection);
    if (received.awaits == mqtt::Awaits::room) stalled_.push_back(tag_of(connection));
}

void Listener::end_turn() {
    pump_all();
    if (std::exchange(has_appended_, false)) {
        deliveries_.close_batch();
        const std::uint64_t before = acked_groups_;
        events_->on_turn_end();
        acks_within_turns_ = acked_groups_ != before;
    }
    // Acks have made room, or something was put off: look at each of those once, then let the
    // others have their turn.
    std::vector<std::uint64_t> queued;
    queued.swap(queued_);
    for (const std::uint64_t tag : queued) {
        if (Connection* connection = find(tag)) {
            connection->is_queued = false;
            settle(*connection);
        }
    }
    if (queued_.empty()) {
        queued.clear();
        queued_.swap(queued);  // keeps its memory
    }
    ended_.clear();
    stats_.publish_memory_bytes.set(static_cast<std::int64_t>(sessions_.publish_memory_bytes()));
    const bool goes_on = !put_off_.empty() && takes_much();
    if (has_appended_ || !queued_.empty() || goes_on) turn_soon();
}

void Listener::settle(Connection& connection) {
    using mqtt::Awaits;
    if (connection.is_shaking_hands) return;
    mqtt::Session& session = connection.session;
    const bool may_read = is_reading_ && !connection.is_over_rate && !connection.is_put_off;
    const bool goes_on = may_read &&
                         ((connection.awaits == Awaits::acks && !session.wants_pause()) ||
                          (connection.awaits == Awaits::answer && session.is_connected()));
    if (goes_on) {
        connection.awaits = Awaits::bytes;
        if (!connection.input.empty()) {
            const std::uint64_t tag = tag_of(connection);
            process_input(connection);
            if (find(tag) == nullptr) return;
        }
    }
    const bool reads = may_read && connection.awaits == Awaits::bytes &&
                       connection.unsent_answer_bytes() < options_.unsent_bytes_max;
    const bool writes = connection.unsent_bytes() > 0;
    watch(connection, reads, writes);
    // Bytes that TLS has taken off the socket already.
    if (reads && connection.has_more_input()) read(connection);
}

void Listener::watch(Connection& connection, bool reads, bool writes) {
    if (reads == connection.is_reading && writes == connection.is_writing) return;
    if (reads != connection.is_reading) {
        if (reads) {
            connection.keep_alive.resume(turn_now_);
        } else {
            connection.keep_alive.pause();
        }
    }
    connection.is_reading = reads;
    connection.is_writing = writes;
    if (writes) watch_writing(connection);
    poller_.change(connection.socket(), tag_of(connection), reads, writes);
}

void Listener::queue(Connection& connection) {
    if (std::exchange(connection.is_queued, true)) return;
    queued_.push_back(tag_of(connection));
}

}  // namespace milepost::listener
