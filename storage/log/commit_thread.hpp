#pragma once

#include "storage/base/this_thread.hpp"
#include "storage/base/time.hpp"

#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>
#include <utility>

namespace milepost::storage {

// The thread that the committer has while the disk is slow: one piece of work at a time. It is
// started when it is needed first. Thread: the owner of the open group calls.
class CommitThread {
public:
    CommitThread(bool real_time, std::function<void()> work)
        : real_time_(real_time)
        , work_(std::move(work)) {}

    // Begins one piece of work. What the last one told its owner may come before it has returned:
    // waits that moment.
    void begin() {
        {
            std::unique_lock lock{mutex_};
            wake_.wait(lock, [this] { return !busy_; });
            busy_ = true;
        }
        if (!thread_.joinable()) {
            thread_ = std::jthread{[this](const std::stop_token& stop) {
                run(stop);
            }};
        }
        wake_.notify_all();
    }

    void wait_until_idle() {
        std::unique_lock lock{mutex_};
        wake_.wait(lock, [this] { return !busy_; });
    }

private:
    void run(const std::stop_token& stop) {
        this_thread::Foreground foreground{real_time_};
        std::unique_lock lock{mutex_};
        while (wake_.wait(lock, stop, [this] { return busy_; })) {
            lock.unlock();
            foreground.look(monotonic_now());
            work_();
            lock.lock();
            busy_ = false;
            wake_.notify_all();
        }
    }

    bool real_time_;
    std::function<void()> work_;
    std::mutex mutex_;
    std::condition_variable_any wake_;
    bool busy_ = false;
    std::jthread thread_;  // last: it stops before the rest goes
};

}  // namespace milepost::storage
