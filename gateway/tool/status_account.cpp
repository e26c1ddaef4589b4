#include "gateway/tool/status_account.hpp"

#include "storage/log/dead_letters.hpp"
#include "storage/log/retention.hpp"

#include <algorithm>
#include <numeric>

namespace milepost::tool {

namespace {

using storage::Offset;
using storage::RemovalReason;

struct Range {
    Offset first;
    Offset end;
};

std::int64_t overlap(const Range& range, Offset first, Offset end) {
    return std::max<std::int64_t>(0, std::min(range.end, end) - std::max(range.first, first));
}

// What is left of `pieces` without `taken`.
std::vector<Range> without(const std::vector<Range>& pieces, const Range& taken) {
    std::vector<Range> left;
    for (const Range& piece : pieces) {
        if (overlap(piece, taken.first, taken.end) == 0) {
            left.push_back(piece);
            continue;
        }
        if (piece.first < taken.first) left.push_back({piece.first, taken.first});
        if (taken.end < piece.end) left.push_back({taken.end, piece.end});
    }
    return left;
}

AccountLine line_of(const PartitionFacts& facts, const std::vector<storage::Gap>& gaps) {
    // Where one stretch of the partition ends and the next begins.
    const Offset middle = facts.forwarded.value_or(facts.start);
    AccountLine line;
    line.accepted = facts.durable.value();
    std::int64_t before = middle.value();
    std::int64_t after = facts.durable - middle;
    std::vector<Range> named;
    for (const storage::Gap& gap : gaps) {
        if (gap.partition != facts.name) continue;
        const Offset reach = storage::is_of_retention(gap.reason) ? facts.start : facts.durable;
        const Range range{gap.first, std::min(gap.end, reach)};
        if (range.first >= range.end) continue;
        std::vector<Range> pieces{range};
        for (const Range& taken : named)
            pieces = without(pieces, taken);
        for (const Range& piece : pieces) {
            const auto gone_before = overlap(piece, Offset{0}, middle);
            const auto gone_after = overlap(piece, middle, facts.durable);
            before -= gone_before;
            after -= gone_after;
            (is_expiry(gap.reason) ? line.expired : line.lost)[gap.reason] += gone_before +
                                                                              gone_after;
        }
        named.push_back(range);
    }
    line.forwarded = before;
    (facts.forwarded ? line.pending : line.kept) = after;
    return line;
}

std::int64_t total_of(const std::map<std::string, std::int64_t>& counts) {
    return std::accumulate(
        counts.begin(),
        counts.end(),
        std::int64_t{0},
        [](std::int64_t sum, const auto& one) { return sum + one.second; }
    );
}

}  // namespace

bool is_expiry(std::string_view reason) {
    return reason == name_of(RemovalReason::retention_bytes) ||
           reason == name_of(RemovalReason::retention_age) ||
           reason == name_of(RemovalReason::limit);
}

std::int64_t AccountLine::expired_total() const {
    return total_of(expired);
}

std::int64_t AccountLine::lost_total() const {
    return total_of(lost);
}

void AccountLine::add(const AccountLine& other) {
    accepted += other.accepted;
    forwarded += other.forwarded;
    pending += other.pending;
    kept += other.kept;
    for (const auto& [reason, count] : other.expired)
        expired[reason] += count;
    for (const auto& [reason, count] : other.lost)
        lost[reason] += count;
}

StatusAccount account_of(const Status& status) {
    StatusAccount account;
    account.has_upstream = std::ranges::any_of(status.partitions, [](const auto& facts) {
        return facts.forwarded.has_value();
    });
    account.keeps_some = std::ranges::any_of(status.partitions, [](const auto& facts) {
        return !facts.forwarded.has_value();
    });
    account.rejected = status.rejected;
    for (const auto& facts : status.partitions) {
        account.partitions.push_back({.name = facts.name, .line = line_of(facts, status.gaps)});
        account.all.add(account.partitions.back().line);
        if (storage::is_dead_letter_topic(facts.name.topic)) {
            account.dead_letters += account.partitions.back().line.accepted;
        }
    }
    account.received = account.all.accepted - account.dead_letters;
    // More than there are: the count of a log that was here before and that no gateway has looked
    // at since.
    const auto bridged = static_cast<std::int64_t>(status.accepted_by_bridges);
    if (bridged <= account.received) account.bridged = bridged;
    for (const auto& rejection : account.rejected) {
        account.received += static_cast<std::int64_t>(rejection.count);
    }
    return account;
}

}  // namespace milepost::tool
