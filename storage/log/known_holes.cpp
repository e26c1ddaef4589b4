#include "storage/log/known_holes.hpp"

#include <algorithm>

namespace milepost::storage {

KnownHoles::KnownHoles(std::span<const Gap> gaps) {
    for (const Gap& gap : gaps) {
        if (gap.first < gap.end) stretches_[gap.partition].push_back({gap.first, gap.end});
    }
    for (auto& [partition, all] : stretches_) {
        std::sort(all.begin(), all.end(), [](const Stretch& left, const Stretch& right) {
            return left.first < right.first;
        });
        std::vector<Stretch> joined;
        for (const Stretch& each : all) {
            if (joined.empty() || each.first > joined.back().end) {
                joined.push_back(each);
            } else {
                joined.back().end = std::max(joined.back().end, each.end);
            }
        }
        all = std::move(joined);
    }
}

bool KnownHoles::cover(const TopicPartition& partition, Offset first, Offset end) const {
    const auto found = stretches_.find(partition);
    if (found == stretches_.end()) return false;
    return std::any_of(found->second.begin(), found->second.end(), [&](const Stretch& each) {
        return each.first <= first && end <= each.end;
    });
}

}  // namespace milepost::storage
