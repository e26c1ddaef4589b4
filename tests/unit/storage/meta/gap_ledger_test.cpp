#include "storage/meta/gap_ledger.hpp"

#include "storage/meta/schema.hpp"
#include "tests/support/matchers.hpp"
#include "tests/support/temp_dir.hpp"

using namespace milepost;
using namespace milepost::storage;
using milepost::test::TempDir;

TEST_CASE("gap_ledger: a hole that is found again is one entry", "[meta]") {
    const TempDir dir;
    auto connection = open_meta(dir.path());
    REQUIRE(connection);
    GapLedger ledger{*connection};
    const Gap hole{{"t", 3}, Offset{5}, Offset{9}, "rot", Timestamp{1000}};
    Gap again = hole;
    again.noticed = Timestamp{2000};
    const Gap next{{"t", 3}, Offset{9}, Offset{12}, "drop_oldest", Timestamp{3000}};
    REQUIRE(ledger.append(hole));
    REQUIRE(ledger.append(again));
    REQUIRE(ledger.append(next));

    const auto gaps = ledger.list();
    REQUIRE(gaps);
    REQUIRE(gaps.value().size() == 2);
    CHECK(gaps.value()[0].partition == hole.partition);
    CHECK(gaps.value()[0].first == Offset{5});
    CHECK(gaps.value()[0].end == Offset{9});
    CHECK(gaps.value()[0].reason == "rot");
    CHECK(gaps.value()[0].noticed == Timestamp{1000});
    CHECK(gaps.value()[1].reason == "drop_oldest");
}

TEST_CASE("gap_ledger: what goes on where an entry ends makes it longer", "[meta]") {
    const TempDir dir;
    auto connection = open_meta(dir.path());
    REQUIRE(connection);
    GapLedger ledger{*connection};
    const auto gap = [](std::int64_t first, std::int64_t end, std::string reason) {
        return Gap{
            .partition = {"t", 0},
            .first = Offset{first},
            .end = Offset{end},
            .reason = std::move(reason),
            .noticed = Timestamp{1},
            .first_time = Timestamp{1000 + first},
            .last_time = Timestamp{1000 + end}};
    };
    REQUIRE(ledger.append(gap(30, 40, "rot")));
    REQUIRE(ledger.append(gap(10, 50, "drop_oldest")));
    REQUIRE(ledger.append(gap(50, 80, "drop_oldest")));
    REQUIRE(ledger.append(gap(50, 80, "drop_oldest")));  // once more, after a crash
    REQUIRE(ledger.append(gap(60, 90, "drop_oldest")));
    REQUIRE(ledger.append(gap(100, 110, "drop_oldest")));
    const auto gaps = ledger.list().value();
    REQUIRE(gaps.size() == 3);
    CHECK(gaps[1].first == Offset{10});
    CHECK(gaps[1].end == Offset{90});
    CHECK(gaps[1].first_time == Timestamp{1010});
    CHECK(gaps[1].last_time == Timestamp{1090});
    CHECK(gaps[1].records == 70);  // the rot has its ten
    CHECK(gaps[2].records == 10);
}
