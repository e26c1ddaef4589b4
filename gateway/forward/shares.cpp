#include "gateway/forward/shares.hpp"

#include <algorithm>
#include <numeric>

namespace milepost::forward {

std::int64_t weight_of(Priority priority) {
    constexpr std::int64_t high = 16;
    constexpr std::int64_t normal = 4;
    constexpr std::int64_t low = 1;
    switch (priority) {
        case Priority::high: return high;
        case Priority::normal: return normal;
        case Priority::low: return low;
    }
    return normal;
}

void share_out(std::int64_t room, std::vector<Demand>& demands) {
    std::vector<std::size_t> order(demands.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    // Who wants less than its part comes first, so that the rest is known for the others.
    std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
        return demands[a].wanted * demands[b].weight < demands[b].wanted * demands[a].weight;
    });
    std::int64_t weights = 0;
    for (const auto& demand : demands)
        weights += demand.weight;
    for (const std::size_t at : order) {
        auto& demand = demands[at];
        const std::int64_t part = std::max<std::int64_t>(room * demand.weight / weights, 1);
        demand.share = std::min(demand.wanted, part);
        room -= std::min(demand.share, room);
        weights -= demand.weight;
    }
}

}  // namespace milepost::forward
