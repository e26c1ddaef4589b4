#include "storage/log/tail.hpp"

#include "storage/base/check.hpp"

#include <algorithm>

namespace milepost::storage {

void Tail::push(const TailEntry& entry) {
    MILEPOST_CHECK(entry.base < entry.next);
    MILEPOST_CHECK(entries_.empty() || entries_.back().next <= entry.base);
    entries_.push_back(entry);
}

Tail::Copied Tail::copy(Offset from, std::size_t bytes_max, Buffer& to) const {
    auto entry = holding(from);
    if (entry == entries_.end()) return {.first = from, .next = from};
    Copied copied{.first = entry->base, .next = entry->base};
    const std::size_t before = to.size();
    for (; entry != entries_.end() && entry->base == copied.next; ++entry) {
        const std::size_t taken = to.size() - before;
        if (taken > 0 && taken + entry->batch.size() > bytes_max) break;
        append_bytes(to, entry->batch);
        copied.next = entry->next;
    }
    return copied;
}

std::optional<TailEntry> Tail::find_timestamp(Timestamp timestamp) const {
    const auto found = std::find_if(entries_.begin(), entries_.end(), [&](const TailEntry& entry) {
        return entry.max_timestamp >= timestamp;
    });
    if (found == entries_.end()) return std::nullopt;
    return *found;
}

void Tail::drop_before(Offset offset) {
    while (!entries_.empty() && entries_.front().next <= offset)
        entries_.pop_front();
}

std::deque<TailEntry>::const_iterator Tail::holding(Offset offset) const {
    return std::partition_point(entries_.begin(), entries_.end(), [&](const TailEntry& entry) {
        return entry.next <= offset;
    });
}

}  // namespace milepost::storage
