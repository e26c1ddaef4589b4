#include "storage/log/recovery_table.hpp"

#include "storage/base/check.hpp"

#include <algorithm>

namespace milepost::storage {

namespace {

template <class Table, class... Facts>
auto decide(const Table& table, Facts... facts) {
    const auto row = std::find_if(table.begin(), table.end(), [&](const auto& candidate) {
        return candidate.matches(facts...);
    });
    MILEPOST_CHECK(row != table.end());
    return row->then;
}

}  // namespace

BatchDecision decide_batch(BatchPlace place, BatchState state) {
    return decide(batch_table, place, state);
}

SectionDecision decide_section(SectionOverlap overlap, SectionState state) {
    return decide(section_table, overlap, state);
}

FolderDecision decide_folder(JournalState journal, bool has_segments) {
    return decide(folder_table, journal, has_segments);
}

}  // namespace milepost::storage
