#include "gateway/upstream/waker.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <ctime>
#include <system_error>

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

namespace milepost::upstream {

Waker::Waker()
    : descriptor_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
    if (descriptor_ < 0) throw std::system_error{errno, std::generic_category(), "eventfd"};
}

Waker::~Waker() {
    ::close(descriptor_);
}

void Waker::wake() {
    // EAGAIN: the counter is full, so it is awake already.
    if (::eventfd_write(descriptor_, 1) != 0) return;
}

void Waker::wait(std::optional<Duration> wait_max) {
    pollfd watched{.fd = descriptor_, .events = POLLIN, .revents = 0};
    timespec time{};
    if (wait_max) {
        const auto left = std::max(*wait_max, Duration::zero());
        const auto whole = std::chrono::duration_cast<std::chrono::seconds>(left);
        time.tv_sec = whole.count();
        time.tv_nsec = std::chrono::nanoseconds{left - whole}.count();
    }
    // EINTR is as good as a wake: the caller looks round and waits again.
    if (::ppoll(&watched, 1, wait_max ? &time : nullptr, nullptr) > 0) {
        eventfd_t counted = 0;
        if (::eventfd_read(descriptor_, &counted) != 0) return;
    }
}

}  // namespace milepost::upstream
