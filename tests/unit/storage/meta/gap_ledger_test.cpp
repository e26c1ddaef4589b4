#include "storage/meta/gap_ledger.hpp"

#include "storage/meta/carry_over.hpp"
#include "storage/meta/position_store.hpp"
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

namespace {

// Retention has taken nothing at or behind `start`, and rot is of no offset at or behind `durable`.
KeptLog kept_log(std::string id, LogOrigin origin, std::int64_t start, std::int64_t durable) {
    return {.id = std::move(id), .origin = origin, .reach = [=](const Gap& gap) {
                return Offset{gap.reason == "drop_oldest" ? start : durable};
            }};
}

Gap gap_of(std::int64_t first, std::int64_t end, std::string reason) {
    return {{"t", 0}, Offset{first}, Offset{end}, std::move(reason), Timestamp{1}};
}

// Of a version that had no log ids.
void add_old(Connection& connection) {
    REQUIRE(connection.run(
        "INSERT INTO gap (log_id, topic, partition, first, end, reason, noticed_ms, first_time_ms, "
        "last_time_ms, records) VALUES ('', 't', 0, 0, 100, 'drop_oldest', 1, -1, -1, 100), "
        "('', 't', 0, 120, 130, 'rot', 1, -1, -1, 10)"
    ));
}

std::vector<std::pair<std::int64_t, std::int64_t>> ranges(GapLedger ledger) {
    std::vector<std::pair<std::int64_t, std::int64_t>> all;
    for (const Gap& gap : ledger.list().value())
        all.emplace_back(gap.first.value(), gap.end.value());
    return all;
}

using Ranges = std::vector<std::pair<std::int64_t, std::int64_t>>;

}  // namespace

TEST_CASE("gap_ledger: a log has its own entries, whatever else is in there", "[meta]") {
    const TempDir dir;
    auto connection = open_meta(dir.path());
    REQUIRE(connection);
    REQUIRE(GapLedger{*connection, "a"}.serve(kept_log("a", LogOrigin::made, 0, 0)));
    REQUIRE(GapLedger{*connection, "a"}.append(gap_of(0, 100, "drop_oldest")));
    REQUIRE(GapLedger{*connection, "b"}.append(gap_of(50, 60, "rot")));
    CHECK(ranges(GapLedger{*connection, "a"}) == Ranges{{0, 100}});
    CHECK(ranges(GapLedger{*connection, "b"}) == Ranges{{50, 60}});
    CHECK(GapLedger{*connection, "b"}.list().value()[0].records == 10);
    CHECK(GapLedger{*connection, "b"}.list().value()[0].log_id == "b");
    CHECK(ranges(GapLedger{*connection}) == Ranges{{0, 100}});  // the one served last

    // The folder was emptied, or meta.db came from elsewhere.
    for (const auto origin : {LogOrigin::made, LogOrigin::found}) {
        const std::string id = origin == LogOrigin::made ? "c" : "d";
        REQUIRE(GapLedger{*connection, id}.serve(kept_log(id, origin, 500, 500)));
        CHECK(ranges(GapLedger{*connection, id}).empty());
    }
}

TEST_CASE("gap_ledger: a journal made behind its segments keeps what is of them", "[meta]") {
    const TempDir dir;
    auto connection = open_meta(dir.path());
    REQUIRE(connection);
    REQUIRE(GapLedger{*connection, "a"}.serve(kept_log("a", LogOrigin::made, 0, 0)));
    REQUIRE(GapLedger{*connection, "a"}.append(gap_of(0, 100, "drop_oldest")));
    REQUIRE(GapLedger{*connection, "a"}.append(gap_of(120, 130, "rot")));
    REQUIRE(GapLedger{*connection, "a"}.append(gap_of(140, 200, "rot")));
    const auto behind = kept_log("b", LogOrigin::made_behind_segments, 60, 150);
    for (int again = 0; again < 2; ++again) {
        REQUIRE(GapLedger{*connection, "b"}.serve(behind));
        CHECK(ranges(GapLedger{*connection, "b"}) == Ranges{{0, 60}, {120, 130}, {140, 150}});
    }
    CHECK(GapLedger{*connection, "b"}.list().value()[0].records == 60);
}

TEST_CASE("gap_ledger: entries without a log become the next one's, once", "[meta]") {
    const TempDir dir;
    auto connection = open_meta(dir.path());
    REQUIRE(connection);
    add_old(*connection);
    CHECK(ranges(GapLedger{*connection, "a"}) == Ranges{{0, 100}, {120, 130}});
    CHECK(GapLedger{*connection, "a"}.list().value()[0].log_id.empty());
    SECTION("a log that is there takes over what is of it") {
        const auto origin = GENERATE(LogOrigin::found, LogOrigin::made_behind_segments);
        REQUIRE(GapLedger{*connection, "a"}.serve(kept_log("a", origin, 70, 500)));
        CHECK(ranges(GapLedger{*connection, "a"}) == Ranges{{0, 70}, {120, 130}});
        CHECK(GapLedger{*connection, "a"}.list().value()[0].log_id == "a");
        REQUIRE(GapLedger{*connection, "b"}.serve(kept_log("b", LogOrigin::found, 70, 500)));
        CHECK(ranges(GapLedger{*connection, "b"}).empty());
    }
    SECTION("a new log does not") {
        REQUIRE(GapLedger{*connection, "a"}.serve(kept_log("a", LogOrigin::made, 0, 0)));
        CHECK(ranges(GapLedger{*connection, "a"}).empty());
    }
}

TEST_CASE("gap_ledger: an adopted log has what the old one had", "[meta]") {
    const TempDir dir;
    auto connection = open_meta(dir.path());
    REQUIRE(connection);
    REQUIRE(GapLedger{*connection, "a"}.append(gap_of(0, 100, "drop_oldest")));
    PositionStore positions{*connection};
    const std::vector<ForwardPosition> known{{{"t", 0}, Offset{120}}};
    REQUIRE(positions.save("a", known));
    const bool with_positions = GENERATE(false, true);
    for (int again = 0; again < 2; ++again) {
        REQUIRE(carry_over(*connection, "a", "b", with_positions));
        CHECK(ranges(GapLedger{*connection, "b"}) == Ranges{{0, 100}});
        CHECK(ranges(GapLedger{*connection, "a"}) == Ranges{{0, 100}});
        CHECK(positions.load("b").value().size() == (with_positions ? 1 : 0));
    }
}
