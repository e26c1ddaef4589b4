#pragma once

#include "storage/base/result.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include <sys/epoll.h>

namespace milepost::listener {

// The client sockets' own epoll set, level-triggered, which Asio watches as one descriptor. With it
// a turn of the event loop costs one system call per socket and turn besides recv and send; Asio's
// own reactor needs another one for every wait (a speculative recv or an epoll_ctl per message).
// Thread: the network's.
class Poller {
public:
    static constexpr std::size_t events_max = 256;

    static Result<Poller> open();
    ~Poller();
    Poller(Poller&& other) noexcept;
    Poller& operator=(Poller&& other) noexcept;
    Poller(const Poller&) = delete;
    Poller& operator=(const Poller&) = delete;

    // Readable when one of the sockets is ready.
    [[nodiscard]] int descriptor() const { return descriptor_; }

    Result<void> add(int socket, std::uint64_t tag, bool reads);
    // Errors and hang-ups are reported whatever is asked for.
    void change(int socket, std::uint64_t tag, bool reads, bool writes);
    void remove(int socket);

    // What is ready now, without waiting; valid until the next call.
    [[nodiscard]] std::span<const epoll_event> ready();

private:
    explicit Poller(int descriptor)
        : descriptor_(descriptor) {}

    int descriptor_ = -1;
    std::array<epoll_event, events_max> events_{};
};

}  // namespace milepost::listener
