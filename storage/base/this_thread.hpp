#pragma once

#include <sched.h>

#include <algorithm>
#include <chrono>
#include <cstdint>

#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

// How the kernel is to schedule the calling thread. Hints: nobody needs a privilege for them, and a
// kernel that does not know one does without. Threads that are started later inherit them.
namespace milepost::this_thread {

// The struct sched_attr of sched_setattr(2), first version; glibc has it from 2.41 on only.
struct SchedulingRequest {
    std::uint32_t bytes = sizeof(SchedulingRequest);
    std::uint32_t policy = SCHED_OTHER;
    std::uint64_t flags = 0;
    std::int32_t niceness = 0;
    std::uint32_t priority = 0;
    std::uint64_t slice_nanos = 0;  // from Linux 6.12 on, 0.1 to 100 ms; before it is ignored
    std::uint64_t deadline_nanos = 0;
    std::uint64_t period_nanos = 0;
};

inline void ask(const SchedulingRequest& request) {
    (void)::syscall(SYS_sched_setattr, 0, &request, 0);
}

// For a thread that somebody waits for: it sleeps for the disk and for sockets, runs for some ten
// microseconds, and is to run as soon as it wakes. With a short slice it displaces at once whoever
// has a longer one, and does not wait for his next tick (4 ms on most kernels).
inline void step_forward() {
    constexpr std::chrono::nanoseconds short_slice = std::chrono::microseconds{100};
    // Somebody gave the process a better policy: that stays.
    if (::sched_getscheduler(0) != SCHED_OTHER) return;
    SchedulingRequest request;
    request.niceness = ::getpriority(PRIO_PROCESS, 0);
    request.slice_nanos = short_slice.count();
    ask(request);
}

// For a thread that reads much and that somebody waits for, though not by the millisecond: its
// share is as everybody's, whatever the process was given over them, and whoever wakes goes first.
inline void step_aside() {
    constexpr std::chrono::nanoseconds long_slice = std::chrono::milliseconds{100};
    SchedulingRequest request;
    request.policy = SCHED_BATCH;
    request.niceness = std::max(0, ::getpriority(PRIO_PROCESS, 0));
    request.slice_nanos = long_slice.count();
    ask(request);
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
    ask(request);
}

}  // namespace milepost::this_thread
