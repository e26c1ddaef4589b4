#pragma once

#include "storage/base/time.hpp"

#include <sched.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <ctime>

#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

// How the kernel is to schedule the calling thread. Hints: a kernel that does not know one, or that
// does not grant it, does without. Threads that are started later inherit what step_aside() and
// step_back() ask for, not what Foreground does.
namespace milepost::this_thread {

// The struct sched_attr of sched_setattr(2), first version; glibc has it from 2.41 on only.
struct SchedulingRequest {
    static constexpr std::uint64_t reset_on_fork = 1;

    std::uint32_t bytes = sizeof(SchedulingRequest);
    std::uint32_t policy = SCHED_OTHER;
    std::uint64_t flags = 0;
    std::int32_t niceness = 0;
    std::uint32_t priority = 0;
    std::uint64_t slice_nanos = 0;  // from Linux 6.12 on, 0.1 to 100 ms; before it is ignored
    std::uint64_t deadline_nanos = 0;
    std::uint64_t period_nanos = 0;
};

// Whether it is granted.
inline bool ask(const SchedulingRequest& request) {
    return ::syscall(SYS_sched_setattr, 0, &request, 0) == 0;
}

// For a thread that somebody waits for: it sleeps for the disk and for sockets, runs for some ten
// microseconds, and is to run as soon as it wakes. By its priority alone it does not: who has had
// his share of a core when he wakes waits for the next tick, 4 ms on most kernels. So, if wanted
// and permitted (RLIMIT_RTPRIO of 1, or CAP_SYS_NICE), it runs in real time for as long as it takes
// no more of a core than a niceness of -5 would give it beside one other thread. Else it has the
// niceness of the process and a short slice, with which it displaces whoever has a longer one.
// Lives on its thread's stack; afterwards the thread has its share.
class Foreground {
public:
    explicit Foreground(bool wants_real_time)
        : since_(monotonic_now())
        , used_(used()) {
        // Somebody gave the process a better policy: that stays.
        if (::sched_getscheduler(0) != SCHED_OTHER) return;
        may_be_real_time_ = is_real_time_ = wants_real_time && take_real_time();
        if (!is_real_time_) take_share();
    }

    Foreground(const Foreground&) = delete;
    Foreground& operator=(const Foreground&) = delete;
    Foreground(Foreground&&) = delete;
    Foreground& operator=(Foreground&&) = delete;

    ~Foreground() {
        if (is_real_time_) take_share();
    }

    [[nodiscard]] bool is_real_time() const { return is_real_time_; }

    // Looks at what the thread has taken since, and decides. To be called often: mostly it costs
    // nothing.
    void look(Instant now) {
        if (!may_be_real_time_) return;
        const Duration span = now - since_;
        if (span < (is_real_time_ ? real_time_span : share_span)) return;
        const Duration taken = used() - used_;
        since_ = now;
        used_ += taken;
        const bool is_little = taken * 4 < span * 3;
        if (is_little == is_real_time_) return;
        is_real_time_ = is_little && take_real_time();
        if (!is_real_time_) take_share();
    }

private:
    static constexpr std::chrono::milliseconds real_time_span{20};  // at most, if it takes all
    static constexpr std::chrono::milliseconds share_span{1000};    // until the next try

    static Duration used() {
        timespec time{};
        (void)::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
        return std::chrono::seconds{time.tv_sec} + std::chrono::nanoseconds{time.tv_nsec};
    }

    static bool take_real_time() {
        SchedulingRequest request;
        request.policy = SCHED_RR;
        request.priority = 1;
        request.flags = SchedulingRequest::reset_on_fork;
        return ask(request);
    }

    static void take_share() {
        constexpr std::chrono::nanoseconds short_slice = std::chrono::microseconds{100};
        SchedulingRequest request;
        request.flags = SchedulingRequest::reset_on_fork;
        request.niceness = ::getpriority(PRIO_PROCESS, static_cast<id_t>(::getpid()));
        request.slice_nanos = short_slice.count();
        if (ask(request)) return;
        // One that the network thread started has lost its niceness, and may not be let have it.
        request.niceness = ::getpriority(PRIO_PROCESS, 0);
        (void)ask(request);
    }

    bool may_be_real_time_ = false;
    bool is_real_time_ = false;
    Instant since_;
    Duration used_;
};

// For a thread that reads much and that somebody waits for, though not by the millisecond: its
// share is as everybody's, whatever the process was given over them, and whoever wakes goes first.
inline void step_aside() {
    constexpr std::chrono::nanoseconds long_slice = std::chrono::milliseconds{100};
    SchedulingRequest request;
    request.policy = SCHED_BATCH;
    request.niceness = std::max(0, ::getpriority(PRIO_PROCESS, 0));
    request.slice_nanos = long_slice.count();
    (void)ask(request);
}

// For work that nobody waits for: a low priority beside the process's, no claim to run at once, and
// a slice so long that whoever wakes displaces it.
inline void step_back() {
    constexpr std::chrono::nanoseconds long_slice = std::chrono::milliseconds{100};
    constexpr int lower = 10;
    constexpr int lowest = 19;
    SchedulingRequest request;
    request.policy = SCHED_BATCH;
    request.niceness = std::min(::getpriority(PRIO_PROCESS, 0) + lower, lowest);
    request.slice_nanos = long_slice.count();
    (void)ask(request);
}

}  // namespace milepost::this_thread
