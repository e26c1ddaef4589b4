#include "gateway/tool/status_account.hpp"

#include <algorithm>

namespace milepost::tool {

namespace {

// How many of the gap's offsets are in [first, end).
std::int64_t overlap(const storage::Gap& gap, storage::Offset first, storage::Offset end) {
    return std::max<std::int64_t>(0, std::min(gap.end, end) - std::max(gap.first, first));
}

}  // namespace

std::int64_t StatusAccount::lost_total() const {
    std::int64_t total = 0;
    for (const auto& [reason, count] : lost)
        total += count;
    return total;
}

StatusAccount account_of(const Status& status) {
    StatusAccount account;
    account.has_upstream = std::ranges::any_of(status.partitions, [](const auto& facts) {
        return facts.forwarded.has_value();
    });
    account.rejected = status.rejected;
    for (const auto& facts : status.partitions) {
        const storage::Offset zero{0};
        account.accepted += facts.durable.value();
        // Where one stretch of the partition ends and the next begins.
        const auto middle = facts.forwarded.value_or(facts.start);
        std::int64_t before = middle.value();
        std::int64_t after = facts.durable - middle;
        for (const auto& gap : status.gaps) {
            if (gap.partition != facts.name) continue;
            const auto lost_before = overlap(gap, zero, middle);
            const auto lost_after = overlap(gap, middle, facts.durable);
            before -= lost_before;
            after -= lost_after;
            account.lost[gap.reason] += lost_before + lost_after;
        }
        (facts.forwarded ? account.forwarded : account.expired) += before;
        (facts.forwarded ? account.pending : account.kept) += after;
    }
    account.received = account.accepted;
    for (const auto& rejection : account.rejected) {
        account.received += static_cast<std::int64_t>(rejection.count);
    }
    return account;
}

}  // namespace milepost::tool
