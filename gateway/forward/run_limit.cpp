#include "gateway/forward/run_limit.hpp"

#include <algorithm>

namespace milepost::forward {

namespace {

// A refusal costs an aborted transaction, or a new producer, and a run that goes through only a
// round trip: so rather small steps up than many down.
constexpr std::int64_t shrink = 8;
constexpr std::int64_t grow = 2;

}  // namespace

void RunLimit::refused(std::int64_t count) {
    records_ = std::max<std::int64_t>(count / shrink, 1);
    patience_ = std::min(patience_ * 2, patience_most);
    good_runs_ = 0;
}

void RunLimit::found() {
    records_ = 1;
    patience_ = 1;
    good_runs_ = 0;
}

void RunLimit::succeeded() {
    if (!is_limited() || ++good_runs_ < patience_) return;
    good_runs_ = 0;
    records_ *= grow;
    if (records_ >= records_most) records_ = 0;
}

}  // namespace milepost::forward
