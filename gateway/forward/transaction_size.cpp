#include "gateway/forward/transaction_size.hpp"

#include <algorithm>
#include <chrono>

namespace milepost::forward {

namespace {

constexpr std::chrono::milliseconds quick{500};
constexpr std::chrono::seconds slow{2};
constexpr std::chrono::milliseconds a_second{1'000};
constexpr int times_most = 8;

}  // namespace

void TransactionSize::committed(std::size_t records, Duration took) {
    if (took > slow) {
        records_ = std::max<std::size_t>(records / 2, 1);
    } else if (took < quick && records >= records_ / 2) {
        // A small one says nothing about large ones. So many times more take at most so many times
        // as long: a second then.
        const auto times = a_second / std::max<Duration>(took, a_second / times_most);
        const auto shown = records * static_cast<std::size_t>(times);
        records_ = std::clamp(shown, records_, records_most);
    }
}

void TransactionSize::lost() {
    records_ = std::max<std::size_t>(records_ / 4, 1);
}

}  // namespace milepost::forward
