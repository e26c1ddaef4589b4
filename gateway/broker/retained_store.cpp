#include "gateway/broker/retained_store.hpp"

#include "gateway/mqtt/topic_filter.hpp"

#include <utility>

namespace milepost::broker {

namespace {

// What every topic that the filter matches begins with; `a/#` also matches `a`.
std::string_view literal_start(std::string_view filter) {
    const std::size_t wildcard = filter.find_first_of("+#");
    if (wildcard == std::string_view::npos) return filter;
    const bool is_parent_too = filter[wildcard] == '#' && wildcard > 0;
    return filter.substr(0, is_parent_too ? wildcard - 1 : wildcard);
}

}  // namespace

void RetainedStore::replace(MessagePtr& slot, const MessagePtr& message) {
    if (slot) {
        --messages_;
        bytes_ -= slot->bytes();
    }
    slot = message;
    if (slot) {
        ++messages_;
        bytes_ += slot->bytes();
    }
}

MessagePtr RetainedStore::set(const MessagePtr& message) {
    auto found = slots_.find(message->topic);
    MessagePtr value = message->payload.empty() ? nullptr : message;
    if (value) {
        const MessagePtr old = found == slots_.end() ? nullptr : found->second.newest;
        const std::size_t messages = messages_ + (old ? 0 : 1);
        const std::size_t bytes = bytes_ - (old ? old->bytes() : 0) + value->bytes();
        if (messages > limits_.messages_max || bytes > limits_.bytes_max) value = nullptr;
    }
    if (found == slots_.end()) {
        if (!value) return nullptr;
        found = slots_.emplace(message->topic, Slot{}).first;
    }
    replace(found->second.newest, value);
    return value;
}

bool RetainedStore::has(std::string_view topic) const {
    return slots_.find(topic) != slots_.end();
}

void RetainedStore::settle(std::string_view topic, const MessagePtr& value) {
    const auto found = slots_.find(topic);
    if (found == slots_.end()) return;
    found->second.visible = value;
    if (!value && !found->second.newest) slots_.erase(found);
}

void RetainedStore::restore(const MessagePtr& message) {
    Slot& slot = slots_[message->topic];
    replace(slot.newest, message);
    slot.visible = message;
}

RetainedStore::Found RetainedStore::next(
    std::string_view filter,
    std::string& after,
    Timestamp now,
    std::size_t looks_max
) const {
    const std::string_view start = literal_start(filter);
    auto it = after.empty() ? slots_.lower_bound(start) : slots_.upper_bound(after);
    for (std::size_t looks = 0; looks < looks_max; ++looks, ++it) {
        if (it == slots_.end() || !it->first.starts_with(start)) return {nullptr, true};
        const auto& [topic, slot] = *it;
        after = topic;
        if (!slot.visible || slot.visible->is_expired(now)) continue;
        if (mqtt::matches(filter, topic)) return {slot.visible, false};
    }
    return {};
}

std::vector<std::string> RetainedStore::take_expired(Timestamp now) {
    std::vector<std::string> gone;
    for (auto it = slots_.begin(); it != slots_.end();) {
        Slot& slot = it->second;
        // One that is newer than what is durable is left for the next time.
        if (slot.newest && slot.newest == slot.visible && slot.newest->is_expired(now)) {
            replace(slot.newest, nullptr);
            gone.push_back(it->first);
            it = slots_.erase(it);
        } else {
            ++it;
        }
    }
    return gone;
}

}  // namespace milepost::broker
