#include "storage/log/checkpoint_thread.hpp"

#include "storage/base/this_thread.hpp"

#include <algorithm>
#include <utility>

namespace milepost::storage {

namespace {

// Together no more than 5 s, so that a full disk that has room again is noticed in that time.
constexpr std::chrono::seconds tick{3};
constexpr std::chrono::seconds pause_max{4};

}  // namespace

CheckpointThread::CheckpointThread(
    Checkpointer& checkpointer,
    Rules rules,
    std::function<void()> after
)
    : checkpointer_(checkpointer)
    , rules_(rules)
    , after_(std::move(after))
    , thread_([this](const std::stop_token& stop) { run(stop); }) {}

CheckpointThread::~CheckpointThread() = default;

void CheckpointThread::kick() {
    if (kicked_.exchange(true)) return;
    const std::lock_guard guard{mutex_};
    wake_.notify_all();
}

void CheckpointThread::wake_at(Instant when) {
    wake_at_ = when;
    woken_ = true;
    const std::lock_guard guard{mutex_};
    wake_.notify_all();
}

ErrorCode CheckpointThread::last_error() const {
    const std::lock_guard guard{mutex_};
    return last_error_;
}

void CheckpointThread::run(const std::stop_token& stop) {
    // Compressing must not take the core from the thread that acknowledges.
    this_thread::step_back();
    while (!stop.stop_requested()) {
        prewrite(stop);
        if (due(monotonic_now())) checkpoint();
        after_();
        std::unique_lock lock{mutex_};
        const auto pause = std::min<Duration>(tick, rules_.age_max / 2 + std::chrono::seconds{1});
        Instant until = std::min(monotonic_now() + pause, wake_at_.load());
        // What failed is tried again when its time has come, not at the next tick.
        if (kicked_.load()) until = std::min(until, not_before_);
        (void)wake_.wait_until(lock, stop, until, [this] {
            const Instant now = monotonic_now();
            return woken_.load() || (kicked_.load() && now >= not_before_);
        });
        woken_ = false;
        if (monotonic_now() >= wake_at_.load()) wake_at_ = Instant::max();
    }
}

// The disk may be full or failing: then again at the next tick. A checkpoint cannot wait, a step
// can.
void CheckpointThread::prewrite(const std::stop_token& stop) {
    while (!stop.stop_requested() && !checkpointer_.is_prewritten() && !kicked_.load()) {
        if (!checkpointer_.prewrite_step()) return;
        after_();
    }
}

bool CheckpointThread::due(Instant now) {
    if (now < not_before_) return false;
    // What a poisoned ring leaves to do is done when the next one is made.
    if (!rules_.checkpoints || !checkpointer_.behind() || checkpointer_.is_poisoned()) {
        behind_since_.reset();
        kicked_ = false;
        return false;
    }
    if (!behind_since_) behind_since_ = now;
    return kicked_.load() || now - *behind_since_ >= rules_.age_max;
}

void CheckpointThread::checkpoint() {
    kicked_ = false;
    const bool was_quiet = behind_since_ && monotonic_now() - *behind_since_ >= rules_.age_max;
    const auto done = checkpointer_.run();
    behind_since_.reset();
    if (done) {
        pause_ = std::chrono::seconds{0};
        if (was_quiet) checkpointer_.release_idle_memory();
    } else {
        pause_ = std::clamp(pause_ * 2, std::chrono::seconds{1}, pause_max);
        not_before_ = monotonic_now() + pause_;
        kicked_ = true;
    }
    const std::lock_guard guard{mutex_};
    last_error_ = done ? ErrorCode{} : done.error();
}

}  // namespace milepost::storage
