#pragma once

#include "firmware-sim/link.hpp"
#include "storage/base/time.hpp"

#include <vector>

namespace milepost::fleet {

// Where links leave their events: any thread of any process that has the descriptor. One event is
// one write to a pipe, which the kernel does not split (LinkEvent is smaller than PIPE_BUF).
class EventSink {
public:
    // `fd`: the writing end, not owned.
    explicit EventSink(int fd)
        : fd_(fd) {}

    // Waits if the reader is a thousand events behind. If the reader is gone the event is too.
    void push(const LinkEvent& event) const;

private:
    int fd_;
};

// Something in the fleet's own thread that waits for descriptors and moments, and posts events.
class Source {
public:
    Source() = default;
    Source(const Source&) = delete;
    Source& operator=(const Source&) = delete;
    virtual ~Source() = default;

    // Readable when turn() has something to do. Not owned by who asks.
    [[nodiscard]] virtual int descriptor() const = 0;

    // When turn() has something to do even so; the far future if never.
    [[nodiscard]] virtual Instant next_turn() const = 0;

    // Does what is due at `now`.
    virtual void turn(Instant now) = 0;
};

// The reading end, and the one place where the fleet's thread waits.
class Inbox {
public:
    // `stop_fd`: readable for each request to stop (see block_stop_signals()), or -1. Not owned.
    // Throws std::system_error if the system has no descriptor left.
    explicit Inbox(int stop_fd);
    ~Inbox();
    Inbox(const Inbox&) = delete;
    Inbox& operator=(const Inbox&) = delete;

    [[nodiscard]] EventSink sink() const { return EventSink{write_fd_}; }

    [[nodiscard]] int write_fd() const { return write_fd_; }

    // For the fleet's own thread only: an event without a system call.
    void post(const LinkEvent& event) { posted_.push_back(event); }

    // From now on it waits for this, too, and gives it its turns; nullptr: no longer.
    void watch(Source* source) { source_ = source; }

    // Waits for an event, a request to stop or that moment. True if a stop was asked for.
    [[nodiscard]] bool wait_until(Instant until);

    // Everything that came, oldest first. `events` is replaced.
    void take(std::vector<LinkEvent>& events);

private:
    int read_fd_;
    int write_fd_;
    int stop_fd_;
    Source* source_ = nullptr;
    std::vector<LinkEvent> posted_;
};

// Blocks SIGINT and SIGTERM for this thread and those it starts, and gives a descriptor from which
// they are read. Throws std::system_error. Call before any thread is started.
[[nodiscard]] int block_stop_signals();

}  // namespace milepost::fleet
