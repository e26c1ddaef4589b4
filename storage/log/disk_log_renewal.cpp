// What the log does when its ring fails: RingRenewal does the work, off this thread where there is
// another one, and the owner waits for it at a group boundary.
#include "storage/base/check.hpp"
#include "storage/log/disk_log.hpp"

namespace milepost::storage {

// At a group boundary: nothing is in flight. The open group goes on filling.
void DiskLog::begin_renewal(ErrorCode why) {
    MILEPOST_CHECK(!in_flight_ || driving_);
    renewing_ = true;
    group_waits_ = committer_->has_sealed();
    ring_error_ = why;
    const Instant now = monotonic_now();
    const Instant due = renewal_->ask(now);
    if (due > now) fail_intake(why);
    if (checkpoint_thread_) {
        checkpoint_thread_->wake_at(due);
    } else {
        renew_here();
    }
}

void DiskLog::fail_intake(ErrorCode why) {
    sync_error_ = why;
    {
        const std::lock_guard guard{mutex_};
        sync_reason_ = why.message();
    }
    refresh_intake();
}

// Where no thread does it.
void DiskLog::renew_here() {
    if (checkpoint_thread_) return;
    if (renewal_->run_if_due(monotonic_now())) renewal_landed();
}

void DiskLog::renewal_landed() {
    const auto outcome = renewal_->take_outcome();
    if (!outcome) return;
    if (*outcome) {
        fail_intake(*outcome);
        if (checkpoint_thread_) checkpoint_thread_->wake_at(*renewal_->due());
        return;
    }
    sync_error_ = {};
    renewing_ = false;
    ring_full_ = false;
    wiring_.listener.on_new_ring(ring_error_);
    const bool was_driving = std::exchange(driving_, true);
    if (group_waits_) wiring_.listener.on_durable(committer_->tokens());
    driving_ = was_driving;
    refresh_intake();
    if (checkpoint_thread_) checkpoint_thread_->wake_at(monotonic_now());  // it pre-writes the ring
    if (!driving_ && commit_asked_) drive();
}

// Found while nobody committed: a slot or a step of pre-writing could not be synced.
void DiskLog::journal_failed() {
    if (closed_ || renewing_ || in_flight_ || !ring_->poisoned()) return;
    begin_renewal(ring_->poison_error());
}

// While the log is closed: takes what the checkpointer's thread still did, makes the one attempt
// that was not made yet, and writes what waited for it.
void DiskLog::end_renewal() {
    if (!renewing_) return;
    renewal_landed();
    if (renewing_ && !sync_error_) renew_here();
    if (renewing_) return;
    commit();
    wait_for_flight();
}

}  // namespace milepost::storage
