#include "gateway/listener/poller.hpp"

#include <cerrno>
#include <utility>

#include <unistd.h>

namespace milepost::listener {

namespace {

ErrorCode last_error() {
    return {errno, boost::system::system_category()};
}

epoll_event event_of(std::uint64_t tag, bool reads, bool writes) {
    epoll_event event{};
    if (reads) event.events |= EPOLLIN;
    if (writes) event.events |= EPOLLOUT;
    event.data.u64 = tag;
    return event;
}

}  // namespace

Result<Poller> Poller::open() {
    const int descriptor = ::epoll_create1(EPOLL_CLOEXEC);
    if (descriptor < 0) return last_error();
    return Poller{descriptor};
}

Poller::~Poller() {
    if (descriptor_ >= 0) ::close(descriptor_);
}

Poller::Poller(Poller&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)) {}

Poller& Poller::operator=(Poller&& other) noexcept {
    std::swap(descriptor_, other.descriptor_);
    return *this;
}

Result<void> Poller::add(int socket, std::uint64_t tag, bool reads) {
    epoll_event event = event_of(tag, reads, false);
    if (::epoll_ctl(descriptor_, EPOLL_CTL_ADD, socket, &event) != 0) return last_error();
    return {};
}

void Poller::change(int socket, std::uint64_t tag, bool reads, bool writes) {
    epoll_event event = event_of(tag, reads, writes);
    ::epoll_ctl(descriptor_, EPOLL_CTL_MOD, socket, &event);
}

void Poller::remove(int socket) {
    ::epoll_ctl(descriptor_, EPOLL_CTL_DEL, socket, nullptr);
}

std::span<const epoll_event> Poller::ready() {
    const int count =
        ::epoll_wait(descriptor_, events_.data(), static_cast<int>(events_.size()), 0);
    return {events_.data(), count > 0 ? static_cast<std::size_t>(count) : 0};
}

}  // namespace milepost::listener
