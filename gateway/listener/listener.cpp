#include "gateway/listener/listener.hpp"

#include <boost/asio/post.hpp>

#include <cerrno>
#include <utility>

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

namespace milepost::listener {

namespace asio = boost::asio;
using asio::ip::tcp;

namespace {

// One read takes at most this much off a socket: enough for a full window of one device, little
// enough that nobody waits long for their turn.
constexpr std::size_t receive_buffer_bytes = 128U * 1024;
constexpr int backlog = 4096;
constexpr auto expiry_sweep_interval = std::chrono::hours{1};

}  // namespace

Result<std::unique_ptr<Listener>> Listener::open(
    asio::io_context& io,
    Options options,
    Events& events
) {
    auto poller = Poller::open();
    if (!poller) return poller.error();
    std::unique_ptr<Listener> listener{
        new Listener{io, std::move(options), events, std::move(*poller)}};
    for (const Endpoint& endpoint : listener->options_.endpoints) {
        MILEPOST_TRY(listener->bind(endpoint));
    }
    return listener;
}

Listener::Listener(asio::io_context& io, Options options, Events& events, Poller poller)
    : io_(&io)
    , options_(std::move(options))
    , events_(&events)
    , poller_(std::move(poller))
    , poller_watch_(io, ::dup(poller_.descriptor()))
    , timer_(io)
    , deliveries_(options_, *events_, stats_)
    , sessions_(options_.sessions_max, options_.publish_memory_bytes_max / sizeof(Remembered))
    , receive_buffer_(receive_buffer_bytes)
    , logins_(
          options_.logins,
          [&io](auto task) { asio::post(io, std::move(task)); },
          [this](std::uint64_t tag, access::Login login) { on_login(tag, login); }
      ) {}

Listener::~Listener() = default;

Result<void> Listener::bind(const Endpoint& endpoint) {
    ErrorCode error;
    const auto address = asio::ip::make_address(endpoint.address, error);
    if (error) return error;
    const tcp::endpoint where{address, endpoint.port};
    tcp::acceptor acceptor{*io_};
    acceptor.open(where.protocol(), error);
    if (!error) acceptor.set_option(tcp::acceptor::reuse_address{true}, error);
    if (!error) acceptor.bind(where, error);
    if (!error) acceptor.listen(backlog, error);
    if (!error) acceptor.non_blocking(true, error);
    if (error) return error;
    acceptors_.push_back(std::move(acceptor));
    return {};
}

std::vector<std::uint16_t> Listener::ports() const {
    std::vector<std::uint16_t> ports;
    for (const auto& acceptor : acceptors_)
        ports.push_back(acceptor.local_endpoint().port());
    return ports;
}

void Listener::restore_session(std::string_view client_id, Bytes state) {
    if (deliveries_.restore_row(client_id, state)) return;
    SubscriberState subscriber;
    SessionTable::Entry* entry = sessions_.restore(client_id, state, wall_now(), subscriber);
    if (entry != nullptr) deliveries_.restore_subscriber(*entry, subscriber);
    stats_.sessions.set(static_cast<std::int64_t>(sessions_.size()));
}

void Listener::start() {
    deliveries_.restored();
    for (std::size_t i = 0; i < acceptors_.size(); ++i)
        watch_acceptor(i);
    deadlines_.add({monotonic_now() + expiry_sweep_interval, 0, Deadline::Kind::expiry});
    watch_poller();
    arm_timer();
}

void Listener::stop_reading() {
    is_reading_ = false;
    ErrorCode ignored;
    for (auto& acceptor : acceptors_)
        acceptor.close(ignored);
    for (const auto& connection : slots_) {
        if (connection) queue(*connection);
    }
    end_turn();
}

void Listener::close_all() {
    timer_.cancel();
    for (const auto& connection : slots_) {
        if (!connection) continue;
        out_.clear();
        connection->session.disconnect(mqtt::ReasonCode::server_shutting_down, out_);
        if (!out_.empty()) connection->send(out_);
        connection->close_output();
    }
    slots_.clear();
    ended_.clear();
    stats_.connections.set(0);
    ErrorCode ignored;
    poller_watch_.close(ignored);
}

// The connection's slot ---------------------------------------------------------------------------

std::uint64_t Listener::tag_of(const Connection& connection) const {
    return (std::uint64_t{connection.generation()} << 32U) | connection.index();
}

Connection* Listener::find(std::uint64_t tag) {
    return find(static_cast<std::uint32_t>(tag), static_cast<std::uint32_t>(tag >> 32U));
}

Connection* Listener::find(std::uint32_t index, std::uint32_t generation) {
    if (index >= slots_.size()) return nullptr;
    Connection* connection = slots_[index].get();
    return connection != nullptr && connection->generation() == generation ? connection : nullptr;
}

AckToken Listener::token_of(const Connection& connection) const {
    AckToken token;
    token.connection = connection.index();
    token.generation = connection.generation();
    token.received_micros = static_cast<std::uint32_t>(
        std::chrono::duration_cast<std::chrono::microseconds>(turn_now_.time_since_epoch()).count()
    );
    return token;
}

AckToken Listener::token_of(const Connection& connection, mqtt::Ticket ticket) const {
    AckToken token = token_of(connection);
    token.packet_id = ticket.packet_id;
    token.weight = ticket.weight;
    token.answer = static_cast<std::uint8_t>(ticket.answer);
    return token;
}

}  // namespace milepost::listener
