#include "gateway/bridge/crossing.hpp"

namespace milepost::bridge {

void Crossing::give(const Item& item) {
    std::unique_lock lock{mutex_};
    item_ = &item;
    // Under the lock: after park() nobody is woken, who may be gone.
    if (!is_parked_) wake_();
    is_finished_.wait(lock, [this] { return item_ == nullptr && !is_parked_; });
}

const Item* Crossing::waiting() const {
    const std::lock_guard lock{mutex_};
    return is_parked_ ? nullptr : item_;
}

void Crossing::finish() {
    {
        const std::lock_guard lock{mutex_};
        if (is_parked_) return;
        item_ = nullptr;
    }
    is_finished_.notify_one();
}

void Crossing::park() {
    const std::lock_guard lock{mutex_};
    is_parked_ = true;
}

}  // namespace milepost::bridge
