#include "gateway/forward/forward_window.hpp"

#include "storage/base/check.hpp"

#include <algorithm>

namespace milepost::forward {

void ForwardWindow::sent(Offset offset) {
    skip_to(offset);
    next_ = offset + 1;
    ++in_flight_;
}

void ForwardWindow::skip_to(Offset offset) {
    MILEPOST_CHECK(offset >= next_);
    if (offset == next_) return;
    const Offset first = next_;
    next_ = offset;
    settle(first, offset);
}

bool ForwardWindow::confirm(Offset offset) {
    MILEPOST_CHECK(in_flight_ > 0 && offset >= confirmed_ && offset < next_);
    --in_flight_;
    const Offset before = confirmed_;
    settle(offset, offset + 1);
    return confirmed_ != before;
}

void ForwardWindow::fail(Offset offset) {
    MILEPOST_CHECK(in_flight_ > 0 && offset >= confirmed_ && offset < next_);
    --in_flight_;
}

void ForwardWindow::rewind() {
    MILEPOST_CHECK(in_flight_ == 0);
    next_ = confirmed_;
    ahead_.clear();
}

void ForwardWindow::settle(Offset first, Offset end) {
    if (first == confirmed_) {
        confirmed_ = end;
        if (!ahead_.empty() && ahead_.front().first == confirmed_) {
            confirmed_ = ahead_.front().end;
            ahead_.erase(ahead_.begin());
        }
        return;
    }
    auto after = std::lower_bound(
        ahead_.begin(),
        ahead_.end(),
        first,
        [](const Range& range, Offset offset) { return range.first < offset; }
    );
    if (after != ahead_.begin() && std::prev(after)->end == first) {
        auto before = std::prev(after);
        before->end = end;
        if (after != ahead_.end() && after->first == end) {
            before->end = after->end;
            ahead_.erase(after);
        }
        return;
    }
    if (after != ahead_.end() && after->first == end) {
        after->first = first;
        return;
    }
    ahead_.insert(after, Range{.first = first, .end = end});
}

}  // namespace milepost::forward
