#include "gateway/forward/transaction_size.hpp"

#include <algorithm>
#include <chrono>

namespace milepost::forward {

namespace {

constexpr std::chrono::milliseconds quick{500};
constexpr std::chrono::seconds slow{2};

}  // namespace

void TransactionSize::committed(std::size_t records, Duration took) {
    if (took > slow) {
        records_ = std::max<std::size_t>(records / 2, 1);
    } else if (took < quick && records >= records_ / 2) {
        // A small one says nothing about large ones.
        records_ = std::min(records_ * 2, records_most);
    }
}

void TransactionSize::lost() {
    records_ = std::max<std::size_t>(records_ / 4, 1);
}

}  // namespace milepost::forward
