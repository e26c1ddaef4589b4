#include "storage/log/recovery_table.hpp"

#include <catch2/catch.hpp>

#include <algorithm>

namespace milepost::storage {

namespace {

template <class Table, class... Facts>
long rows_that_match(const Table& table, Facts... facts) {
    return std::count_if(table.begin(), table.end(), [&](const auto& row) {
        return row.matches(facts...);
    });
}

}  // namespace

TEST_CASE("recovery table: exactly one row matches every batch", "[recovery]") {
    for (const auto place : {BatchPlace::below_checkpoint, BatchPlace::behind_checkpoint}) {
        for (const auto state :
             {BatchState::follows,
              BatchState::overlaps,
              BatchState::leaves_gap,
              BatchState::torn,
              BatchState::wrong}) {
            CHECK(rows_that_match(batch_table, place, state) == 1);
        }
    }
}

TEST_CASE("recovery table: exactly one row matches every section", "[recovery]") {
    for (const auto overlap :
         {SectionOverlap::in_segments,
          SectionOverlap::straddles,
          SectionOverlap::follows,
          SectionOverlap::leaves_gap}) {
        for (const auto state : {SectionState::whole, SectionState::wrong}) {
            CHECK(rows_that_match(section_table, overlap, state) == 1);
        }
    }
}

TEST_CASE("recovery table: exactly one row matches every folder", "[recovery]") {
    for (const auto journal :
         {JournalState::there, JournalState::unreadable, JournalState::missing}) {
        for (const bool segments : {false, true}) {
            CHECK(rows_that_match(folder_table, journal, segments) == 1);
        }
    }
}

TEST_CASE(
    "recovery table: only whole batches that follow are kept behind the checkpoint",
    "[recovery]"
) {
    CHECK(decide_batch(BatchPlace::behind_checkpoint, BatchState::follows) == BatchDecision::keep);
    CHECK(decide_batch(BatchPlace::behind_checkpoint, BatchState::torn) == BatchDecision::cut);
    CHECK(
        decide_section(SectionOverlap::in_segments, SectionState::whole) == SectionDecision::skip
    );
    CHECK(
        decide_section(SectionOverlap::leaves_gap, SectionState::whole) ==
        SectionDecision::hole_and_take
    );
}

}  // namespace milepost::storage
