#pragma once

#include "storage/base/time.hpp"
#include "storage/log/checkpointer.hpp"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>

namespace milepost::storage {

// Runs the checkpointer when it is due, on a thread of low priority: at half a ring (kick), or when
// something has waited for `age_max`; first of all it writes the rest of a new ring.
class CheckpointThread {
public:
    struct Rules {
        std::chrono::seconds age_max;
        bool checkpoints;  // false: none, only the ring is pre-written and `after` is called
    };

    // `after` is called on this thread after every step and every few seconds.
    CheckpointThread(Checkpointer& checkpointer, Rules rules, std::function<void()> after);
    CheckpointThread(const CheckpointThread&) = delete;
    CheckpointThread& operator=(const CheckpointThread&) = delete;
    ~CheckpointThread();

    // A checkpoint soon. Thread: any; cheap when it was asked for already.
    void kick();
    // `after` is called at that moment, not only at its turn. Replaces what was asked before.
    // Thread: any.
    void wake_at(Instant when);
    // Why the last checkpoint failed; empty if it did not. Thread: any.
    [[nodiscard]] ErrorCode last_error() const;

private:
    void run(const std::stop_token& stop);
    void prewrite(const std::stop_token& stop);
    void checkpoint();
    [[nodiscard]] bool due(Instant now);

    Checkpointer& checkpointer_;
    Rules rules_;
    std::function<void()> after_;

    std::atomic<bool> kicked_{false};
    std::atomic<bool> woken_{false};
    std::atomic<Instant> wake_at_{Instant::max()};
    std::optional<Instant> behind_since_;
    Instant not_before_{};
    std::chrono::seconds pause_{0};

    mutable std::mutex mutex_;
    std::condition_variable_any wake_;
    ErrorCode last_error_;
    std::jthread thread_;  // last: it stops before the rest goes
};

}  // namespace milepost::storage
