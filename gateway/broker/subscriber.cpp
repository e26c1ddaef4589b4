#include "gateway/broker/subscriber.hpp"

namespace milepost::broker {

Subscriber::~Subscriber() {
    for (const auto& [filter, options] : filters_) {
        tree_->remove(filter, *this);
    }
}

bool Subscriber::subscribe(std::string_view filter, const SubscriptionOptions& options) {
    tree_->add(filter, *this, options);
    return filters_.insert_or_assign(std::string{filter}, options).second;
}

bool Subscriber::unsubscribe(std::string_view filter) {
    const auto found = filters_.find(filter);
    if (found == filters_.end()) return false;
    tree_->remove(filter, *this);
    filters_.erase(found);
    std::erase_if(scans, [&](const RetainedScan& scan) { return scan.filter == filter; });
    return true;
}

void Subscriber::scan_retained(std::string_view filter, const SubscriptionOptions& options) {
    std::erase_if(scans, [&](const RetainedScan& scan) { return scan.filter == filter; });
    scans.push_back({std::string{filter}, options, {}});
}

}  // namespace milepost::broker
