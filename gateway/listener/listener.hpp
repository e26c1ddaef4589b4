#pragma once

#include "gateway/listener/connection.hpp"
#include "gateway/listener/deadlines.hpp"
#include "gateway/listener/poller.hpp"
#include "gateway/listener/session_table.hpp"
#include "gateway/mqtt/packet.hpp"
#include "gateway/mqtt/session.hpp"
#include "storage/base/ack_token.hpp"
#include "storage/base/result.hpp"
#include "storage/base/stats.hpp"
#include "storage/base/time.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace milepost::listener {

struct Endpoint {
    std::string address;
    std::uint16_t port = 1883;
};

struct Options {
    std::vector<Endpoint> endpoints;
    mqtt::Limits limits;
    std::size_t connections_max = 10'000;
    std::size_t sessions_max = 100'000;
    std::uint32_t session_expiry_s_max = mqtt::session_expiry_never;
    std::size_t waiting_wills_max = 1'000;      // with a delay, or while the log takes nothing
    std::size_t unsent_bytes_max = 64U * 1024;  // answers that a device does not read
    std::chrono::seconds connect_timeout{10};
};

// Since the start of the process. Any thread may read.
struct ListenerStats {
    Gauge connections;
    Gauge sessions;
    Counter accepted_connections;
    Counter refused_connections;  // over connections_max or sessions_max
    Counter connects;             // CONNECTs that were accepted
    Counter takeovers;
    Counter protocol_errors;
    Counter keep_alive_timeouts;
    Counter connect_timeouts;
    Counter dropped_wills;
    Counter acks;
    Counter received_bytes;
    Histogram ack_latency_micros;  // from the read of the PUBLISH to its PUBACK
};

// What the listener hands on; app gives it. Called on the network thread.
class Events {
public:
    Events() = default;
    Events(const Events&) = delete;
    Events& operator=(const Events&) = delete;
    virtual ~Events() = default;

    // A turn of the event loop begins: the wall time of what it reads.
    virtual void on_turn(Timestamp now) = 0;
    virtual mqtt::Taken on_publish(
        const mqtt::Publish& publish,
        std::string_view client_id,
        AckToken token
    ) = 0;
    // False: not now; it is offered again when intake opens.
    virtual bool on_will(const StoredWill& will, std::string_view client_id) = 0;
    // To be made durable; with a token, acked() then brings it back. False: not possible now.
    virtual bool on_session(const SessionChange& change, std::optional<AckToken> token) = 0;
    // Only brings the token back with the next group.
    virtual void on_ride(AckToken token) = 0;
    // Everything readable has been read: commit.
    virtual void on_turn_end() = 0;
    // One line for the log; rate-limited by the receiver.
    virtual void on_notice(std::string_view kind, std::string_view text) = 0;
};

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

    // A kept session from before the restart. Before start().
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

    // The ports that are bound, for port 0.
    [[nodiscard]] std::vector<std::uint16_t> ports() const;

    [[nodiscard]] const ListenerStats& stats() const { return stats_; }

private:
    struct Sink;

    struct PendingConnect {
        bool session_present = false;
        std::string assigned_client_id;
        std::optional<std::uint32_t> session_expiry_s;  // where it is not what was asked for
    };

    struct WaitingWill {
        StoredWill will;
        Instant due{};
    };

    Listener(boost::asio::io_context& io, Options options, Events& events, Poller poller);
    Result<void> bind(const Endpoint& endpoint);

    // accepting
    void watch_acceptor(std::size_t index);
    void accept_ready(std::size_t index);
    void add_connection(int socket);

    // a turn
    void watch_poller();
    void turn();
    void turn_soon();
    void on_ready(Connection& connection, std::uint32_t events);
    void read(Connection& connection);
    void process(Connection& connection, Bytes input, bool is_own_input);
    void process_input(Connection& connection);
    void end_turn();
    void settle(Connection& connection);
    void queue(Connection& connection);

    // one connection
    void connected(Connection& connection, const mqtt::Connect& connect);
    void take_over(std::uint32_t index, bool session_goes_on);
    void accept(Connection& connection, const PendingConnect& pending);
    void refuse(Connection& connection, mqtt::ReasonCode reason);
    void transmit(Connection& connection, Bytes bytes);
    void finish(Connection& connection);
    void end(Connection& connection);
    void send_acks(Connection& connection, std::span<const AckToken> tokens);
    void publish_will(StoredWill will, std::string_view client_id, std::uint32_t delay_s);
    void offer_wills();
    [[nodiscard]] std::uint64_t tag_of(const Connection& connection) const;
    [[nodiscard]] Connection* find(std::uint32_t index, std::uint32_t generation);
    [[nodiscard]] AckToken token_of(const Connection& connection) const;

    // time
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
    std::vector<std::unique_ptr<Connection>>
        ended_;  // destroyed when nothing refers to them any more
    SessionTable sessions_;
    std::unordered_map<std::uint64_t, PendingConnect> pending_connects_;
    std::unordered_map<std::string, WaitingWill> waiting_wills_;
    Deadlines deadlines_;

    std::vector<std::uint64_t> queued_;   // to be looked at when the turn ends
    std::vector<std::uint64_t> stalled_;  // a publish was put off: the log took nothing
    Buffer receive_buffer_;
    Buffer out_;
    Buffer acks_;
    ListenerStats stats_;
    Instant turn_now_{};
    Timestamp wall_now_{};
    std::uint64_t assigned_ids_ = 0;
    bool is_intake_open_ = true;
    bool is_reading_ = true;
    bool has_appended_ = false;  // something awaits the commit at the turn's end
    bool turn_is_posted_ = false;
};

}  // namespace milepost::listener
