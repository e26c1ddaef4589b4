#pragma once

#include "storage/base/time.hpp"

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>

// What the service manager is told: the datagram protocol of sd_notify(3), spoken on
// $NOTIFY_SOCKET.
namespace milepost {

// The sending end of the manager's socket.
class NotifySocket {
public:
    // `address`: an absolute path, or '@' and an abstract name. nullopt: it is neither, or does not
    // fit a socket address.
    static std::optional<NotifySocket> open(std::string_view address);

    NotifySocket(NotifySocket&& other) noexcept;
    NotifySocket& operator=(NotifySocket&&) = delete;
    ~NotifySocket();

    // One datagram of NAME=VALUE lines. Waits at most 5 s for a manager that does not read.
    // Returns whether it was taken; nothing depends on it.
    bool send(std::string_view lines) const;

private:
    NotifySocket(int descriptor, std::string address)
        : descriptor_(descriptor)
        , address_(std::move(address)) {}

    int descriptor_;
    std::string address_;  // bytes of a sockaddr_un
};

// What is known of the gateway at one moment.
struct ServiceFacts {
    std::uint64_t readings = 0;          // durable since the start
    std::string intake_closed;           // why no readings are taken in; empty: they are
    std::optional<Duration> disk_waits;  // for how long a commit has waited for the disk so far
};

// The line that `systemctl status` shows; pure.
[[nodiscard]] std::string service_status(
    const ServiceFacts& before,
    const ServiceFacts& now,
    Duration between
);

// The interval of $WATCHDOG_USEC, if $WATCHDOG_PID is this process or not set
// (sd_watchdog_enabled(3)); pure.
[[nodiscard]] std::optional<Duration> watchdog_interval(
    const char* microseconds,
    const char* pid,
    std::int64_t own_pid
);

// Tells the manager READY, STOPPING, STATUS and WATCHDOG from a thread of its own.
// The watchdog says "the network thread goes round": each period a probe is posted to its loop, and
// the next ping is sent when that probe has been answered. One thing excuses a loop that does not
// answer: a commit that waits for the disk, which the network thread does itself while syncs are
// quick. A hung disk is waited for, and killing the process would not free it (its call cannot be
// interrupted); what hangs for any other reason is left to the manager to restart.
// Thread: ready(), stopping() any.
class ServiceNotify {
public:
    struct Watched {
        std::function<void(std::function<void()>)> post;  // runs it on the network thread
        std::function<ServiceFacts()> facts;              // from any thread
    };

    // Both callbacks stay callable until the destructor has returned; a posted function may be run
    // or dropped later than that.
    ServiceNotify(NotifySocket socket, Duration period, Watched watched);
    // Sends what is not sent yet.
    ~ServiceNotify();
    ServiceNotify(const ServiceNotify&) = delete;
    ServiceNotify& operator=(const ServiceNotify&) = delete;

    // nullptr where no manager listens. Pings four times per $WATCHDOG_USEC.
    static std::unique_ptr<ServiceNotify> from_environment(Watched watched);

    // The gateway serves. Nothing is sent before it.
    void ready();
    // From here on the loop need not go round: the manager's stop timeout is the bound.
    void stopping();

private:
    enum class Phase : std::uint8_t { starting, serving, stopping };

    void run(const std::stop_token& stop);
    void tell(Phase phase, bool is_news);
    [[nodiscard]] bool loop_goes_round(const ServiceFacts& facts);

    NotifySocket socket_;
    Duration period_;
    Watched watched_;
    std::shared_ptr<std::atomic<bool>> answered_;  // by the last probe
    ServiceFacts before_;
    Instant before_at_{};
    std::mutex mutex_;
    std::condition_variable_any wake_;
    Phase phase_ = Phase::starting;
    std::jthread thread_;  // last: it stops before the rest goes
};

}  // namespace milepost
