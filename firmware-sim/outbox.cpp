#include "firmware-sim/outbox.hpp"

#include "storage/base/check.hpp"

#include <algorithm>
#include <utility>

namespace milepost::fleet {

Outbox::Outbox(std::size_t readings_max)
    : readings_max_(readings_max) {
    MILEPOST_CHECK(readings_max > 0);
}

std::optional<std::uint64_t> Outbox::push(std::uint64_t seq, std::string payload) {
    MILEPOST_CHECK(entries_.empty() || entries_.back().seq < seq);
    std::optional<std::uint64_t> gone;
    if (entries_.size() == readings_max_) {
        if (first_waiting_ == entries_.size()) return seq;
        gone = entries_[first_waiting_].seq;
        erase(entries_.begin() + static_cast<std::ptrdiff_t>(first_waiting_));
        move_waiting_to_first_from(first_waiting_);
    }
    entries_.push_back({.seq = seq, .payload = std::move(payload)});
    return gone;
}

const Outbox::Entry* Outbox::next_waiting() const {
    return first_waiting_ < entries_.size() ? &entries_[first_waiting_] : nullptr;
}

bool Outbox::mark_handed() {
    MILEPOST_CHECK(first_waiting_ < entries_.size());
    Entry& entry = entries_[first_waiting_];
    entry.handed = true;
    ++handed_;
    move_waiting_to_first_from(first_waiting_ + 1);
    return !std::exchange(entry.handed_before, true);
}

bool Outbox::remove(std::uint64_t seq) {
    const auto found = find(seq);
    if (found == entries_.end()) return false;
    const auto index = static_cast<std::size_t>(found - entries_.begin());
    if (found->handed) --handed_;
    erase(found);
    if (index < first_waiting_) {
        --first_waiting_;
    } else if (index == first_waiting_) {
        move_waiting_to_first_from(index);
    }
    return true;
}

void Outbox::take_back_all() {
    for (Entry& entry : entries_)
        entry.handed = false;
    handed_ = 0;
    first_waiting_ = 0;
}

bool Outbox::take_back(std::uint64_t seq) {
    const auto found = find(seq);
    if (found == entries_.end() || !found->handed) return false;
    found->handed = false;
    --handed_;
    first_waiting_ = std::min(first_waiting_, static_cast<std::size_t>(found - entries_.begin()));
    return true;
}

void Outbox::store(std::size_t stored_max) {
    // What is stored is a prefix, but for what was removed from it.
    for (auto entry = entries_.begin(); entry != entries_.end() && stored_ < stored_max; ++entry) {
        if (!entry->is_stored) ++stored_;
        entry->is_stored = true;
    }
}

std::vector<std::uint64_t> Outbox::reboot() {
    std::vector<std::uint64_t> gone;
    for (const Entry& entry : entries_) {
        if (!entry.is_stored) gone.push_back(entry.seq);
    }
    std::erase_if(entries_, [](const Entry& entry) { return !entry.is_stored; });
    take_back_all();
    return gone;
}

void Outbox::erase(std::deque<Entry>::iterator entry) {
    if (entry->is_stored) --stored_;
    entries_.erase(entry);
}

std::deque<Outbox::Entry>::iterator Outbox::find(std::uint64_t seq) {
    const auto found = std::lower_bound(
        entries_.begin(),
        entries_.end(),
        seq,
        [](const Entry& entry, std::uint64_t wanted) { return entry.seq < wanted; }
    );
    return found != entries_.end() && found->seq == seq ? found : entries_.end();
}

void Outbox::move_waiting_to_first_from(std::size_t index) {
    while (index < entries_.size() && entries_[index].handed)
        ++index;
    first_waiting_ = index;
}

}  // namespace milepost::fleet
