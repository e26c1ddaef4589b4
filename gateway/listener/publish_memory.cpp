#include "gateway/listener/publish_memory.hpp"

#include <algorithm>

namespace milepost::listener {

namespace {

bool is_before(const Remembered& publish, mqtt::PacketId packet_id) {
    return publish.packet_id < packet_id;
}

}  // namespace

void DuplicateWindow::add(Remembered publish) {
    if (entries_.size() < entries_max) {
        if (oldest_ != 0) {  // add_in_place() has turned it
            const auto oldest = entries_.begin() + static_cast<std::ptrdiff_t>(oldest_);
            std::rotate(entries_.begin(), oldest, entries_.end());
            oldest_ = 0;
        }
        entries_.push_back(publish);
        return;
    }
    entries_[oldest_] = publish;
    oldest_ = (oldest_ + 1) % entries_max;
}

void DuplicateWindow::add_in_place(Remembered publish) {
    if (entries_.empty()) return;
    entries_[oldest_] = publish;
    oldest_ = (oldest_ + 1) % entries_.size();
}

void DuplicateWindow::add_again(Remembered publish) {
    const auto found = std::find(entries_.begin(), entries_.end(), publish);
    if (found == entries_.end()) return add(publish);
    const auto oldest = entries_.begin() + static_cast<std::ptrdiff_t>(oldest_);
    const auto at = found - entries_.begin();
    std::rotate(entries_.begin(), oldest, entries_.end());
    const auto size = static_cast<std::ptrdiff_t>(entries_.size());
    const auto moved = entries_.begin() + (at + size - static_cast<std::ptrdiff_t>(oldest_)) % size;
    oldest_ = 0;
    std::rotate(moved, moved + 1, entries_.end());
}

bool DuplicateWindow::contains(Remembered publish) const {
    return std::find(entries_.begin(), entries_.end(), publish) != entries_.end();
}

const Remembered* UnreleasedPublishes::find(mqtt::PacketId packet_id) const {
    const auto at = std::lower_bound(entries_.begin(), entries_.end(), packet_id, is_before);
    return at != entries_.end() && at->packet_id == packet_id ? &*at : nullptr;
}

void UnreleasedPublishes::put(Remembered publish) {
    const auto at =
        std::lower_bound(entries_.begin(), entries_.end(), publish.packet_id, is_before);
    if (at != entries_.end() && at->packet_id == publish.packet_id) {
        *at = publish;
    } else {
        entries_.insert(at, publish);
    }
}

bool UnreleasedPublishes::erase(mqtt::PacketId packet_id) {
    const auto at = std::lower_bound(entries_.begin(), entries_.end(), packet_id, is_before);
    if (at == entries_.end() || at->packet_id != packet_id) return false;
    entries_.erase(at);
    if (entries_.empty()) entries_.shrink_to_fit();
    return true;
}

}  // namespace milepost::listener
