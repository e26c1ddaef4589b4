#include "storage/log/ring_renewal.hpp"

namespace milepost::storage {

Instant RingRenewal::ask(Instant now) {
    const bool is_quick = asked_last_ && now - *asked_last_ < parts_.pause;
    quick_renewals_ = is_quick ? quick_renewals_ + 1 : 0;
    asked_last_ = now;
    const Instant due = quick_renewals_ < quick_renewals_max ? now : now + parts_.pause;
    const std::lock_guard guard{mutex_};
    due_ = due;
    return due;
}

std::optional<ErrorCode> RingRenewal::take_outcome() {
    const std::lock_guard guard{mutex_};
    return std::exchange(outcome_, std::nullopt);
}

std::optional<Instant> RingRenewal::due() const {
    const std::lock_guard guard{mutex_};
    return due_;
}

bool RingRenewal::run_if_due(Instant now) {
    {
        const std::lock_guard guard{mutex_};
        if (!due_ || now < *due_) return false;
        due_.reset();
    }
    const ErrorCode error = renew();
    const std::lock_guard guard{mutex_};
    if (error) due_ = monotonic_now() + parts_.pause;
    outcome_ = error;
    return true;
}

// No view into the old mirror is left when it goes: the tails are empty, and nothing was published
// since, because the owner commits nothing.
ErrorCode RingRenewal::renew() {
    auto made = parts_.checkpointer.make_next_ring(parts_.journal_folder);
    if (!made) return made.error();
    parts_.committer.move_to(**made);
    parts_.checkpointer.move_to(**made);
    parts_.ring = std::move(*made);
    parts_.stats.ring_generations.add();
    // The old file is of no use any more. What cannot be removed now goes at the next start.
    (void)Ring::remove_older(parts_.files, parts_.journal_folder, parts_.ring->header().generation)
        .has_error();
    return parts_.committer.has_sealed() ? parts_.write_group() : ErrorCode{};
}

}  // namespace milepost::storage
