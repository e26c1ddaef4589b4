#include "firmware-sim/inbox.hpp"

#include <pthread.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <climits>
#include <csignal>
#include <cstddef>
#include <ctime>
#include <system_error>
#include <type_traits>

#include <fcntl.h>
#include <poll.h>
#include <sys/signalfd.h>
#include <unistd.h>

namespace milepost::fleet {

namespace {

int checked(int fd, const char* what) {
    if (fd < 0) throw std::system_error{errno, std::generic_category(), what};
    return fd;
}

}  // namespace

static_assert(std::is_trivially_copyable_v<LinkEvent> && sizeof(LinkEvent) <= PIPE_BUF);

void EventSink::push(const LinkEvent& event) const {
    while (::write(fd_, &event, sizeof event) < 0 && errno == EINTR) {
    }
}

Inbox::Inbox(int stop_fd)
    : stop_fd_(stop_fd) {
    std::array<int, 2> ends{};
    checked(::pipe2(ends.data(), O_CLOEXEC), "pipe");
    read_fd_ = ends[0];
    write_fd_ = ends[1];
    checked(::fcntl(read_fd_, F_SETFL, O_NONBLOCK), "fcntl");
}

Inbox::~Inbox() {
    ::close(read_fd_);
    ::close(write_fd_);
}

bool Inbox::wait_until(Instant until) {
    if (source_ != nullptr) until = std::min(until, source_->next_turn());
    if (!posted_.empty()) until = Instant::min();
    const Instant now = monotonic_now();
    const auto left = until > now ? until - now : Duration::zero();
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(left);
    const std::timespec timeout{
        .tv_sec = seconds.count(),
        .tv_nsec = std::chrono::nanoseconds{left - seconds}.count(),
    };
    std::array<pollfd, 3> fds{{
        {.fd = read_fd_, .events = POLLIN, .revents = 0},
        {.fd = stop_fd_, .events = POLLIN, .revents = 0},
        // A negative one is passed over.
        {.fd = source_ != nullptr ? source_->descriptor() : -1, .events = POLLIN, .revents = 0},
    }};
    if (::ppoll(fds.data(), fds.size(), &timeout, nullptr) <= 0) return false;
    if (fds[1].revents == 0) return false;
    signalfd_siginfo signal{};
    return ::read(stop_fd_, &signal, sizeof signal) == static_cast<ssize_t>(sizeof signal);
}

void Inbox::take(std::vector<LinkEvent>& events) {
    if (source_ != nullptr) source_->turn(monotonic_now());
    events.clear();
    events.swap(posted_);
    std::array<LinkEvent, 64> some{};
    for (;;) {
        const ssize_t got = ::read(read_fd_, some.data(), sizeof some);
        if (got <= 0) return;  // empty
        const auto count = static_cast<std::size_t>(got) / sizeof(LinkEvent);
        events
            .insert(events.end(), some.begin(), some.begin() + static_cast<std::ptrdiff_t>(count));
        if (count < some.size()) return;
    }
}

int block_stop_signals() {
    sigset_t signals;
    ::sigemptyset(&signals);
    ::sigaddset(&signals, SIGINT);
    ::sigaddset(&signals, SIGTERM);
    if (const int error = ::pthread_sigmask(SIG_BLOCK, &signals, nullptr); error != 0) {
        throw std::system_error{error, std::generic_category(), "pthread_sigmask"};
    }
    return checked(::signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC), "signalfd");
}

}  // namespace milepost::fleet
