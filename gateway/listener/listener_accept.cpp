// The part of the listener that takes connections in.
#include "gateway/listener/listener.hpp"

#include <netdb.h>

#include <array>
#include <cerrno>
#include <string>
#include <utility>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

namespace milepost::listener {

namespace asio = boost::asio;
using asio::ip::tcp;

namespace {

constexpr int accepts_per_turn_max = 64;
constexpr auto accept_pause = std::chrono::milliseconds{100};

std::string peer_of(int socket) {
    sockaddr_storage address{};
    socklen_t length = sizeof address;
    std::array<char, NI_MAXHOST> host{};
    // Any socket address may be looked at as sockaddr.
    auto* plain = reinterpret_cast<sockaddr*>(&address);
    if (::getpeername(socket, plain, &length) != 0 ||
        ::getnameinfo(plain, length, host.data(), host.size(), nullptr, 0, NI_NUMERICHOST) != 0) {
        return "a client that has gone";
    }
    return host.data();
}

// A half-open connection whose device asked for no keep-alive is noticed after 7 minutes.
void keep_probing(int socket) {
    const int yes = 1;
    const int idle_s = 300;
    const int interval_s = 30;
    const int count = 4;
    ::setsockopt(socket, SOL_SOCKET, SO_KEEPALIVE, &yes, sizeof yes);
    ::setsockopt(socket, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof idle_s);
    ::setsockopt(socket, IPPROTO_TCP, TCP_KEEPINTVL, &interval_s, sizeof interval_s);
    ::setsockopt(socket, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof count);
}

}  // namespace

void Listener::watch_acceptor(std::size_t index) {
    acceptors_[index].async_wait(tcp::acceptor::wait_read, [this, index](ErrorCode error) {
        if (!error && is_reading_) accept_ready(index);
    });
}

void Listener::accept_ready(std::size_t index) {
    const int acceptor = acceptors_[index].native_handle();
    for (int i = 0; i < accepts_per_turn_max; ++i) {
        const int socket = ::accept4(acceptor, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (socket >= 0) {
            add_connection(socket, index);
            continue;
        }
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            // No descriptors: those that wait in the backlog are tried again soon.
            events_->on_notice("accept", "cannot accept: out of file descriptors or memory");
            auto pause = std::make_shared<asio::steady_timer>(*io_, accept_pause);
            pause->async_wait([this, index, pause](ErrorCode error) {
                if (!error && is_reading_) watch_acceptor(index);
            });
            return;
        }
        if (errno != EINTR && errno != ECONNABORTED) break;
    }
    watch_acceptor(index);
}

void Listener::add_connection(int socket, std::size_t endpoint) {
    const auto connected = slots_.size() - free_slots_.size();
    if (connected >= options_.connections_max) {
        stats_.refused_connections.add();
        events_->on_notice("connections_max", "connection refused: connections_max is reached");
        ::close(socket);
        return;
    }
    std::uint64_t address = 0;
    if (!admit(socket, address)) {
        ::close(socket);
        return;
    }
    const int yes = 1;
    ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    keep_probing(socket);
    if (free_slots_.empty()) {
        free_slots_.push_back(static_cast<std::uint32_t>(slots_.size()));
        slots_.emplace_back();
        generations_.push_back(0);
    }
    const std::uint32_t index = free_slots_.back();
    free_slots_.pop_back();
    auto connection = std::make_unique<Connection>(
        socket,
        index,
        ++generations_[index],
        static_cast<std::uint16_t>(endpoint),
        options_.limits
    );
    const std::uint64_t tag = tag_of(*connection);
    connection->address = address;
    if (options_.messages_per_s_max != 0 || options_.bytes_per_s_max != 0) {
        connection->rate = std::make_unique<RateLimit>(
            options_.messages_per_s_max,
            options_.bytes_per_s_max,
            monotonic_now()
        );
    }
    if (!poller_.add(socket, tag, true)) {
        leave(address);
        free_slots_.push_back(index);
        stats_.refused_connections.add();
        return;
    }
    if (const auto& tls = options_.endpoints[endpoint].rules.tls) connection->begin_tls(tls);
    slots_[index] = std::move(connection);
    deadlines_.add({monotonic_now() + options_.connect_timeout, tag, Deadline::Kind::connect});
    arm_timer();
    stats_.accepted_connections.add();
    stats_.connections.add(1);
}

// A handshake costs up to milliseconds of the processor: so much of a turn goes to them, the rest
// waits for the next one (the poller reports them again), and publishes do not wait for a storm.
void Listener::shake_hands(Connection& connection) {
    if (handshake_time_left_ <= Duration::zero()) return;
    const Instant begin = monotonic_now();
    const TlsStream::Step step = connection.tls()->handshake();
    handshake_time_left_ -= monotonic_now() - begin;
    if (step == TlsStream::Step::wants_read) return watch(connection, true, false);
    if (step == TlsStream::Step::wants_write) return watch(connection, true, true);
    if (step == TlsStream::Step::failed) {
        stats_.failed_handshakes.add();
        events_->on_notice(
            "tls_handshake",
            "TLS handshake with " + peer_of(connection.socket()) +
                " failed: " + connection.tls()->failure()
        );
        return end(connection);
    }
    stats_.handshakes.add();
    connection.is_shaking_hands = false;
    if (auto user = connection.tls()->certificate_user()) {
        connection.is_certified = true;
        connection.user = std::move(*user);
    }
    watch(connection, true, false);
    read(connection);  // its CONNECT may have come with the last of the handshake
}

}  // namespace milepost::listener
