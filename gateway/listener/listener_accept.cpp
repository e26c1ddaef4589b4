// The part of the listener that takes connections in.
#include "gateway/listener/listener.hpp"

#include <cerrno>
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
            add_connection(socket);
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

void Listener::add_connection(int socket) {
    const auto connected = slots_.size() - free_slots_.size();
    if (connected >= options_.connections_max) {
        stats_.refused_connections.add();
        events_->on_notice("connections_max", "connection refused: connections_max is reached");
        ::close(socket);
        return;
    }
    const int yes = 1;
    ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    if (free_slots_.empty()) {
        free_slots_.push_back(static_cast<std::uint32_t>(slots_.size()));
        slots_.emplace_back();
        generations_.push_back(0);
    }
    const std::uint32_t index = free_slots_.back();
    free_slots_.pop_back();
    auto connection =
        std::make_unique<Connection>(socket, index, ++generations_[index], options_.limits);
    const std::uint64_t tag = tag_of(*connection);
    if (!poller_.add(socket, tag, true)) {
        free_slots_.push_back(index);
        stats_.refused_connections.add();
        return;
    }
    slots_[index] = std::move(connection);
    deadlines_.add({monotonic_now() + options_.connect_timeout, tag, Deadline::Kind::connect});
    arm_timer();
    stats_.accepted_connections.add();
    stats_.connections.add(1);
}

}  // namespace milepost::listener
