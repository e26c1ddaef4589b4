#pragma once

#include "gateway/access/logins.hpp"
#include "gateway/listener/connection.hpp"
#include "gateway/listener/deadlines.hpp"
#include "gateway/listener/deliveries.hpp"
#include "gateway/listener/events.hpp"
#include "gateway/listener/options.hpp"
#include "gateway/listener/poller.hpp"
#include "gateway/listener/session_table.hpp"
#include "gateway/mqtt/packet.hpp"
#include "storage/base/ack_token.hpp"
#include "storage/base/result.hpp"
#include "storage/base/time.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace milepost::listener {

// The MQTT front door: client sockets in, publishes out, acks back. The only room that knows client
// sockets. Everything runs on the thread of `io`; acked() and set_intake_open() too.
class Listener {
public:
    // Binds and listens; does not accept before start(). Errors are those of bind.
    static Result<std::unique_ptr<Listener>> open(
        boost::asio::io_context& io,
        Options options,
        Events& events
    );
    ~Listener();
    Listener(const Listener&) = delete;
    Listener& operator=(const Listener&) = delete;

    // A kept session, or a message for subscribers, from before the restart, in the order of their
    // keys. Before start().
    void restore_session(std::string_view client_id, Bytes state);
    void start();
    // No new connections, nothing is read any more; acks still go out.
    void stop_reading();
    // Says goodbye to every device and closes. After the last commit.
    void close_all();

    // These tokens are durable: the only place from which PUBACKs are sent. In publish order.
    void acked(std::span<const AckToken> tokens);
    // Whether the log takes readings; when it does again, what was put off is offered again.
    void set_intake_open(bool is_open);

    // Other rules for Options::endpoints[endpoint]; nobody is disconnected.
    void set_rules(std::size_t endpoint, EndpointRules rules);

    // The ports that are bound, for port 0.
    [[nodiscard]] std::vector<std::uint16_t> ports() const;

    [[nodiscard]] const ListenerStats& stats() const { return stats_; }

    [[nodiscard]] const access::LoginStats& login_stats() const { return logins_.stats(); }

private:
    struct Sink;

    struct PendingConnect {
        bool session_present = false;
        std::string assigned_client_id;
        std::optional<std::uint32_t> session_expiry_s;  // where it is not what was asked for
    };

    // A CONNECT whose password is being looked at.
    struct PendingLogin {
        mqtt::Connect connect;  // its views point to what follows, or are empty
        std::string client_id;
        std::string user;
        std::unique_ptr<StoredWill> will;
    };

    struct WaitingWill {
        StoredWill will;
        Instant due{};
    };

    Listener(boost::asio::io_context& io, Options options, Events& events, Poller poller);
    Result<void> bind(const Endpoint& endpoint);

    // accepting: listener_accept.cpp
    void watch_acceptor(std::size_t index);
    void accept_ready(std::size_t index);
    void add_connection(int socket, std::size_t endpoint);
    void shake_hands(Connection& connection);

    // limits: listener_limits.cpp
    bool admit(int socket, std::uint64_t& address);
    void leave(std::uint64_t address);
    void check_rate(Connection& connection);
    void watch_writing(Connection& connection);
    void on_write_deadline(Connection& connection);

    // a turn: listener_turns.cpp
    void watch_poller();
    void turns();
    void turn(std::span<const epoll_event> events);
    void turn_soon();
    void look_again(std::size_t found);
    void on_ready(Connection& connection, std::uint32_t events);
    void put_off(Connection& connection);
    void read_put_off();
    [[nodiscard]] bool takes_much() const;
    void read(Connection& connection);
    void process(Connection& connection, Bytes input, bool is_own_input);
    void process_input(Connection& connection);
    void end_turn();
    void settle(Connection& connection);
    void watch(Connection& connection, bool reads, bool writes);
    void queue(Connection& connection);

    // who may come in, and what they may do: listener_access.cpp
    void connected(Connection& connection, const mqtt::Connect& connect);
    [[nodiscard]] std::optional<mqtt::ReasonCode> authenticate(
        Connection& connection,
        const mqtt::Connect& connect
    );
    void enter(
        Connection& connection,
        const mqtt::Connect& connect,
        std::unique_ptr<StoredWill> will
    );
    void turn_away(Connection& connection, mqtt::ReasonCode reason, std::string_view user);
    void on_login(std::uint64_t tag, access::Login login);
    void forget_login(std::uint64_t tag);
    mqtt::Taken offer(
        Connection& connection,
        const mqtt::Publish& publish,
        AckToken token,
        Bytes change
    );
    bool offer_will(const StoredWill& will, std::string_view client_id);
    bool may_subscribe(const Connection& connection, std::string_view filter);
    void note_forbidden(
        const Connection& connection,
        std::string_view deed,
        std::string_view topic
    );
    [[nodiscard]] bool may_receive(const Connection& connection, std::string_view topic);

    [[nodiscard]] const EndpointRules& rules_of(const Connection& connection) const {
        return options_.endpoints[connection.endpoint()].rules;
    }

    // publishes and their acks: listener_publishes.cpp
    mqtt::Taken take_publish(Connection& connection, const mqtt::Publish& publish, AckToken token);
    mqtt::Taken take_qos_1(Connection& connection, const mqtt::Publish& publish, AckToken token);
    mqtt::Taken take_qos_2(Connection& connection, const mqtt::Publish& publish, AckToken token);
    mqtt::Taken take_release(Connection& connection, AckToken token);
    void send_acks(Connection& connection, std::span<const AckToken> tokens);
    void await_intake();
    [[nodiscard]] bool is_closed_for_long() const;

    // subscribers: listener_deliveries.cpp
    mqtt::Taken take_subscribe(Connection& connection, const mqtt::Subscribe& subscribe);
    mqtt::Taken take_unsubscribe(Connection& connection, const mqtt::Subscribe& unsubscribe);
    void take_ack(Connection& connection, mqtt::PacketType type, mqtt::Ack ack);
    void answer_subscribe(Connection& connection);
    void send_release(Connection& connection, mqtt::PacketId packet_id);
    void begin_deliveries(Connection& connection);
    void end_deliveries(Connection& connection);
    void pump_all();
    void pump(broker::Subscriber& subscriber);
    bool write_next(Connection& connection, broker::Subscriber& subscriber, Buffer& out);
    [[nodiscard]] Connection* connection_of(const broker::Subscriber& subscriber);

    // one connection: listener_sessions.cpp
    void open_session(
        Connection& connection,
        const mqtt::Connect& connect,
        std::unique_ptr<StoredWill> will
    );
    void take_over(std::uint32_t index, bool session_goes_on);
    void accept(Connection& connection, const PendingConnect& pending);
    void refuse(Connection& connection, mqtt::ReasonCode reason);
    void transmit(Connection& connection, Bytes bytes);
    void finish(Connection& connection);
    void end(Connection& connection);
    void publish_will(StoredWill will, std::string_view client_id, std::uint32_t delay_s);
    void offer_wills();
    [[nodiscard]] std::uint64_t tag_of(const Connection& connection) const;
    [[nodiscard]] Connection* find(std::uint64_t tag);
    [[nodiscard]] Connection* find(std::uint32_t index, std::uint32_t generation);
    [[nodiscard]] AckToken token_of(const Connection& connection) const;
    [[nodiscard]] AckToken token_of(const Connection& connection, mqtt::Ticket ticket) const;

    // time: listener_sessions.cpp
    void arm_timer();
    void on_timer();
    void on_deadline(const Deadline& deadline);

    boost::asio::io_context* io_;
    Options options_;
    Events* events_;
    Poller poller_;
    boost::asio::posix::stream_descriptor poller_watch_;
    std::vector<boost::asio::ip::tcp::acceptor> acceptors_;
    boost::asio::steady_timer timer_;
    Instant timer_at_ = Instant::max();

    std::vector<std::unique_ptr<Connection>> slots_;
    std::vector<std::uint32_t> generations_;
    std::vector<std::uint32_t> free_slots_;
    std::vector<std::unique_ptr<Connection>> ended_;  // until nothing refers to them any more
    ListenerStats stats_;
    Deliveries deliveries_;  // outlives the sessions
    SessionTable sessions_;
    std::unordered_map<std::uint64_t, PendingConnect> pending_connects_;
    std::unordered_map<std::uint64_t, PendingLogin> pending_logins_;
    std::unordered_map<std::string, WaitingWill> waiting_wills_;
    std::unordered_map<std::uint64_t, std::size_t> connections_of_;  // by address
    Deadlines deadlines_;

    Instant little_came_at_{};            // from somebody who does not send much at once
    std::deque<std::uint64_t> put_off_;   // read again, in this order, when a group is committed
    std::vector<std::uint64_t> queued_;   // to be looked at when the turn ends
    std::vector<std::uint64_t> stalled_;  // a publish was put off: the log took nothing
    Buffer receive_buffer_;
    Buffer out_;
    Buffer acks_;
    Buffer messages_;
    Buffer message_properties_;
    Instant turn_now_{};
    Timestamp wall_now_{};
    std::uint64_t assigned_ids_ = 0;
    static constexpr Duration handshake_time_per_turn = std::chrono::milliseconds{4};
    Duration handshake_time_left_ = handshake_time_per_turn;
    static constexpr Duration closed_for_long_after = std::chrono::seconds{1};
    Instant intake_closed_at_{};
    bool is_intake_open_ = true;
    bool is_intake_awaited_ = false;  // a deadline is under way
    bool is_reading_ = true;
    bool has_appended_ = false;  // something awaits the commit at the turn's end
    bool turn_is_posted_ = false;
    bool acks_within_turns_ = false;  // the last commit's came before its turn was over
    std::uint64_t acked_groups_ = 0;
    std::size_t turn_bytes_ = 0;  // read in it
    access::Logins logins_;
};

}  // namespace milepost::listener
