#include "storage/meta/meta_keeper.hpp"

#include "storage/meta/gap_ledger.hpp"

#include <algorithm>
#include <map>

namespace milepost::storage {

Result<void> MetaKeeper::serve(const KeptLog& log) {
    log_id_ = log.id;
    return GapLedger{connection_, log_id_}.serve(log);
}

Result<void> MetaKeeper::record(const Gap& gap) {
    GapLedger ledger{connection_, log_id_};
    MILEPOST_TRY(ledger.append(gap));
    (void)gaps().has_error();  // it is entered; what is shown follows with the next one
    return {};
}

Result<std::vector<Gap>> MetaKeeper::gaps() {
    while (true) {
        const std::uint64_t count = [this] {
            const std::lock_guard guard{mutex_};
            return known_count_;
        }();
        auto listed = GapLedger{connection_, log_id_}.list();
        if (!listed) return listed;
        const std::lock_guard guard{mutex_};
        if (count != known_count_) continue;  // one came meanwhile that the list may lack
        known_gaps_ = *listed;
        return listed;
    }
}

// As GapLedger::append() puts it into the table.
void MetaKeeper::know(const Gap& gap) {
    const std::lock_guard guard{mutex_};
    ++known_count_;
    for (Gap& known : known_gaps_) {
        if (known.partition != gap.partition || known.reason != gap.reason) continue;
        if (gap.first < known.first || gap.first > known.end) continue;
        known.records += std::max<std::int64_t>(0, gap.end - known.end);
        known.end = std::max(known.end, gap.end);
        known.last_time = std::max(known.last_time, gap.last_time);
        return;
    }
    known_gaps_.push_back(gap);
    known_gaps_.back().records = gap.end - gap.first;
}

void MetaKeeper::on_checkpoint() {
    auto now = rejected();
    if (now == saved_) return;
    if (RejectedStore{connection_}.save(now)) saved_ = std::move(now);
}

Result<void> MetaKeeper::load_rejected() {
    auto loaded = RejectedStore{connection_}.load();
    if (!loaded) return loaded.error();
    saved_ = *loaded;
    const std::lock_guard guard{mutex_};
    earlier_ = std::move(*loaded);
    return {};
}

void MetaKeeper::count_rejected_by(std::function<std::vector<RejectedCount>()> count) {
    const std::lock_guard guard{mutex_};
    count_ = std::move(count);
}

std::vector<RejectedCount> MetaKeeper::rejected() const {
    const std::lock_guard guard{mutex_};
    std::map<std::string, std::uint64_t> sums;
    for (const RejectedCount& one : earlier_)
        sums[one.reason] += one.count;
    if (count_) {
        for (const RejectedCount& one : count_())
            sums[one.reason] += one.count;
    }
    std::vector<RejectedCount> counts;
    for (const auto& [reason, count] : sums)
        counts.push_back({.reason = reason, .count = count});
    return counts;
}

std::vector<Gap> MetaKeeper::known_gaps() const {
    const std::lock_guard guard{mutex_};
    return known_gaps_;
}

}  // namespace milepost::storage
