// The part of the listener that keeps one device, or one address, from taking what is the others'.
#include "gateway/listener/listener.hpp"

#include <algorithm>
#include <cstring>

#include <netinet/in.h>
#include <sys/socket.h>

namespace milepost::listener {

namespace {

// What connections are counted under: an IPv4 address, or the /64 of an IPv6 one, all of which one
// host may have. 0: neither.
std::uint64_t address_of(int socket) {
    constexpr std::uint64_t is_v4 = std::uint64_t{1} << 63U;
    sockaddr_storage peer{};
    socklen_t size = sizeof peer;
    if (::getpeername(socket, reinterpret_cast<sockaddr*>(&peer), &size) != 0) return 0;
    if (peer.ss_family == AF_INET) {
        sockaddr_in v4{};
        std::memcpy(&v4, &peer, sizeof v4);
        return is_v4 | v4.sin_addr.s_addr;
    }
    if (peer.ss_family != AF_INET6) return 0;
    sockaddr_in6 v6{};
    std::memcpy(&v6, &peer, sizeof v6);
    if (IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr)) {
        std::uint32_t v4 = 0;
        std::memcpy(&v4, v6.sin6_addr.s6_addr + 12, sizeof v4);
        return is_v4 | v4;
    }
    std::uint64_t network = 0;
    std::memcpy(&network, v6.sin6_addr.s6_addr, sizeof network);
    return std::max<std::uint64_t>(network & ~is_v4, 1);
}

}  // namespace

bool Listener::admit(int socket, std::uint64_t& address) {
    if (options_.connections_per_address_max == 0) return true;
    address = address_of(socket);
    std::size_t& connected = connections_of_[address];
    if (connected >= options_.connections_per_address_max) {
        stats_.refused_by_address.add();
        events_->on_notice(
            "connections_per_address_max",
            "connection refused: connections_per_address_max is reached"
        );
        return false;
    }
    ++connected;
    return true;
}

void Listener::leave(std::uint64_t address) {
    const auto found = connections_of_.find(address);
    if (found != connections_of_.end() && --found->second == 0) connections_of_.erase(found);
}

void Listener::check_rate(Connection& connection) {
    const Duration pause = connection.rate->pause(turn_now_);
    if (pause <= Duration::zero() || connection.is_over_rate) return;
    connection.is_over_rate = true;
    stats_.rate_pauses.add();
    if (connection.entry != nullptr) {
        events_->on_notice(
            "rate",
            '"' + connection.entry->first +
                "\" publishes faster than it may: it is read more slowly"
        );
    }
    deadlines_.add({turn_now_ + pause, tag_of(connection), Deadline::Kind::rate});
    arm_timer();
    queue(connection);
}

// From the moment on that a device leaves something unread, until it has read all.
void Listener::watch_writing(Connection& connection) {
    if (connection.is_write_watched) return;
    connection.is_write_watched = true;
    static_cast<void>(connection.take_progress());
    const Instant due = turn_now_ + options_.write_timeout;
    deadlines_.add({due, tag_of(connection), Deadline::Kind::write});
    arm_timer();
}

void Listener::on_write_deadline(Connection& connection) {
    connection.is_write_watched = false;
    if (connection.unsent_bytes() == 0) return;
    if (connection.take_progress()) return watch_writing(connection);
    stats_.write_timeouts.add();
    const std::string who = connection.entry == nullptr ? "a connection"
                                                        : '"' + connection.entry->first + '"';
    events_->on_notice("write_timeout", "closed " + who + ": it does not read its answers");
    end(connection);
}

}  // namespace milepost::listener
