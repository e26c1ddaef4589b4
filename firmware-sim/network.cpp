#include "firmware-sim/network.hpp"

#include <netdb.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <system_error>
#include <utility>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

namespace milepost::fleet {

namespace {

constexpr std::size_t events_max = 512;
constexpr std::size_t other_files = 64;  // beside the sockets

ErrorCode socket_error() {
    return {errno, boost::system::system_category()};
}

epoll_event interest(NetworkClient& client, bool in_writing) {
    epoll_event wanted{};
    wanted.events = in_writing ? EPOLLIN | EPOLLOUT : EPOLLIN;
    wanted.data.ptr = &client;
    return wanted;
}

}  // namespace

Network::Network(Inbox& inbox, std::string host, std::uint16_t port)
    : inbox_(&inbox)
    , host_(std::move(host))
    , port_(port)
    , epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
    if (epoll_ < 0) throw std::system_error{errno, std::generic_category(), "epoll_create1"};
    inbox_->watch(this);
}

Network::~Network() {
    inbox_->watch(nullptr);
    ::close(epoll_);
}

void Network::remove(NetworkClient& client) {
    std::erase(clients_, &client);
}

// What was known stays, if the resolver does not answer.
void Network::resolve() {
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* found = nullptr;
    const std::string port = std::to_string(port_);
    if (::getaddrinfo(host_.c_str(), port.c_str(), &hints, &found) != 0) return;
    const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner{found, &::freeaddrinfo};
    std::vector<Address> addresses;
    for (const addrinfo* entry = found; entry != nullptr; entry = entry->ai_next) {
        Address address;
        std::memcpy(&address.bytes, entry->ai_addr, entry->ai_addrlen);
        address.size = entry->ai_addrlen;
        addresses.push_back(address);
    }
    if (address_ >= addresses.size()) address_ = 0;
    addresses_ = std::move(addresses);
    has_failed_ = false;
}

void Network::note_failure(std::size_t address) {
    has_failed_ = true;
    // Many vehicles may have failed with the same one.
    if (address == address_ && !addresses_.empty()) address_ = (address_ + 1) % addresses_.size();
}

Result<Network::Dialled> Network::dial(NetworkClient& client) {
    if (const Instant now = monotonic_now(); has_failed_ && now >= resolve_after_) {
        resolve();
        resolve_after_ = now + resolve_every;
    }
    if (addresses_.empty()) return ErrorCode{EHOSTUNREACH, boost::system::generic_category()};
    const Address& address = addresses_[address_];
    const int fd = ::socket(address.bytes.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return socket_error();
    const int yes = 1;
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    const auto* const any = reinterpret_cast<const sockaddr*>(&address.bytes);
    epoll_event wanted = interest(client, /*in_writing=*/true);
    if ((::connect(fd, any, address.size) != 0 && errno != EINPROGRESS) ||
        ::epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &wanted) != 0) {
        const ErrorCode error = socket_error();
        ::close(fd);
        note_failure(address_);
        return error;
    }
    return Dialled{.fd = fd, .address = address_};
}

void Network::watch_writing(int fd, NetworkClient& client, bool is_wanted) const {
    epoll_event wanted = interest(client, is_wanted);
    ::epoll_ctl(epoll_, EPOLL_CTL_MOD, fd, &wanted);
}

// A client closes no socket but its own, so that no event of this turn is about one that is gone.
void Network::turn(Instant now) {
    std::array<epoll_event, events_max> ready{};
    const int count = ::epoll_wait(epoll_, ready.data(), events_max, 0);
    for (int i = 0; i < count; ++i) {
        const epoll_event& event = ready[static_cast<std::size_t>(i)];
        const bool is_over = (event.events & (EPOLLERR | EPOLLHUP)) != 0;
        static_cast<NetworkClient*>(event.data.ptr)
            ->on_ready(
                is_over || (event.events & EPOLLIN) != 0,
                is_over || (event.events & EPOLLOUT) != 0,
                now
            );
    }
    if (now < next_look_) return;
    next_look_ = now + look_every;
    for (NetworkClient* const client : clients_)
        client->on_look(now);
}

bool allow_sockets(std::size_t count) {
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return false;
    const rlim_t wanted = count + other_files;
    if (limit.rlim_cur >= wanted) return true;
    limit.rlim_cur = wanted;
    limit.rlim_max = std::max(limit.rlim_max, wanted);  // only root may
    return ::setrlimit(RLIMIT_NOFILE, &limit) == 0;
}

}  // namespace milepost::fleet
