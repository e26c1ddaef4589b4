#include "gateway/forward/transaction_size.hpp"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <utility>

namespace milepost::forward {

namespace {

constexpr std::chrono::seconds slow{2};
constexpr std::chrono::milliseconds a_second{1'000};
constexpr std::int64_t times_most = 8;
// None grows over this, should all of its time turn out to be its records'. Far below a
// transaction's time-out, and one that was lost later than this may have been too large.
constexpr std::chrono::seconds long_one{10};
// After so many of one size what is known of the fixed part is old.
constexpr int same_most = 16;

}  // namespace

void TransactionSize::committed(std::size_t records, Duration took) {
    if (records == 0 || records < records_ / 2) {
        // A small one says nothing about large ones but their fixed part. The shortest counts, and
        // fades, so that a slow one does not change it and a link that has become longer does.
        fixed_ = fixed_ ? std::min(took, *fixed_ + *fixed_ / 8) : took;
        return;
    }
    const Full full{.records = records, .took = took};
    work_out_fixed(full);
    last_full_ = full;
    const Duration for_records = took - fixed_.value_or(Duration::zero());
    const Duration step = a_second / times_most;
    const std::int64_t in_a_second = Duration{a_second} / std::max(for_records, step);
    const std::int64_t times = std::min(in_a_second, Duration{long_one} / std::max(took, step));
    // Where nothing is known of the fixed part a smaller one tells.
    if (for_records > slow || (times < 2 && !fixed_)) {
        records_ = std::max<std::size_t>(records / 2, 1);
        return;
    }
    if (times >= 2 || records_ == records_most) {
        const auto shown = records * static_cast<std::size_t>(std::max<std::int64_t>(times, 1));
        records_ = std::clamp(shown, records_, records_most);
        same_ones_ = 0;
    } else if (in_a_second < 2 && ++same_ones_ == same_most) {
        same_ones_ = 0;
        fixed_.reset();
    }
}

// Two full ones of different sizes show it.
void TransactionSize::work_out_fixed(const Full& full) {
    if (last_full_) {
        const auto& [smaller, larger] = full.records < last_full_->records
                                            ? std::pair{full, *last_full_}
                                            : std::pair{*last_full_, full};
        if (larger.records >= smaller.records * 2) {
            const double each = static_cast<double>((larger.took - smaller.took).count()) /
                                static_cast<double>(larger.records - smaller.records);
            const double of_records = std::max(each, 0.0) * static_cast<double>(smaller.records);
            fixed_ = std::max(
                std::min(smaller.took, larger.took) -
                    Duration{static_cast<Duration::rep>(of_records)},
                Duration::zero()
            );
        }
    }
    if (fixed_) fixed_ = std::min(*fixed_, full.took);
}

void TransactionSize::lost(Duration after) {
    const std::size_t least = after > long_one ? 1 : std::min(records_, records_first);
    records_ = std::max(records_ / 4, least);
}

}  // namespace milepost::forward
