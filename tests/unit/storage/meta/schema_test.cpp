#include "storage/meta/schema.hpp"

#include "storage/meta/errc.hpp"
#include "storage/meta/gap_ledger.hpp"
#include "storage/meta/position_store.hpp"
#include "storage/meta/rejected_store.hpp"
#include "tests/support/matchers.hpp"
#include "tests/support/temp_dir.hpp"

#include <fstream>

using namespace milepost;
using namespace milepost::storage;
using milepost::test::TempDir;

namespace {

// Of versions 1 to 3.
constexpr const char* make_positions =
    "CREATE TABLE position (log_id TEXT NOT NULL, topic TEXT NOT NULL, partition INTEGER NOT NULL, "
    "forwarded INTEGER NOT NULL, PRIMARY KEY (log_id, topic, partition)) STRICT, WITHOUT ROWID;";

}  // namespace

TEST_CASE("schema: a new database has the version, an old one is opened again", "[meta]") {
    const TempDir dir;
    for (int opens = 0; opens < 2; ++opens) {
        auto connection = open_meta(dir.path());
        REQUIRE(connection);
        CHECK(connection->number("PRAGMA user_version").value() == meta_format_version);
    }
}

TEST_CASE("schema: a newer database is refused, for reading too, and not changed", "[meta]") {
    const TempDir dir;
    {
        auto connection = open_meta(dir.path());
        REQUIRE(connection);
        REQUIRE(connection->run("PRAGMA user_version = 99"));
    }
    const auto opened = open_meta(dir.path());
    REQUIRE_FALSE(opened);
    CHECK(opened.error() == MetaErrc::newer_format);
    const auto read = open_meta_read_only(dir.path());
    REQUIRE_FALSE(read);
    CHECK(read.error() == MetaErrc::newer_format);
}

TEST_CASE("schema: somebody else's database is not touched", "[meta]") {
    const TempDir dir;
    {
        auto foreign =
            Connection::open(dir.path() / meta_file_name, Connection::Access::read_write);
        REQUIRE(foreign);
        REQUIRE(foreign->run("CREATE TABLE theirs (a)"));
    }
    const auto opened = open_meta(dir.path());
    REQUIRE_FALSE(opened);
    CHECK(opened.error() == MetaErrc::not_ours);
}

TEST_CASE("schema: a damaged database is reported, put aside and replaced", "[meta]") {
    const TempDir dir;
    std::ofstream{dir.path() / meta_file_name} << std::string(8192, 'x');
    REQUIRE_FALSE(open_meta(dir.path()));
    const auto aside = set_meta_aside(dir.path());
    REQUIRE(aside);
    CHECK(std::filesystem::file_size(aside.value()) == 8192);
    CHECK(open_meta(dir.path()));
}

TEST_CASE("schema: there is nothing to read where no gateway has run", "[meta]") {
    const TempDir dir;
    const auto read = open_meta_read_only(dir.path());
    REQUIRE_FALSE(read);
    CHECK(read.error() == MetaErrc::cannot_open);
    CHECK(std::filesystem::is_empty(dir.path()));
}

TEST_CASE("schema: a database of version 1 is upgraded, and read as it is", "[meta]") {
    const TempDir dir;
    {
        auto old = Connection::open(dir.path() / meta_file_name, Connection::Access::read_write);
        REQUIRE(old);
        REQUIRE(old->run(make_positions));
        REQUIRE(old->run(
            "CREATE TABLE gap (id INTEGER PRIMARY KEY, topic TEXT NOT NULL, partition INTEGER NOT "
            "NULL, first INTEGER NOT NULL, end INTEGER NOT NULL, reason TEXT NOT NULL, noticed_ms "
            "INTEGER NOT NULL, UNIQUE (topic, partition, first, end, reason)) STRICT;"
            "INSERT INTO gap VALUES (1, 't', 0, 5, 9, 'rot', 1000);"
            "PRAGMA application_id = 1297108290; PRAGMA user_version = 1;"
        ));
    }
    {
        auto read = open_meta_read_only(dir.path());
        REQUIRE(read);
        const auto gaps = GapLedger{*read}.list();
        REQUIRE(gaps);
        CHECK(gaps.value().at(0).records == 4);
        CHECK(RejectedStore{*read}.load().value().empty());
    }
    auto upgraded = open_meta(dir.path());
    REQUIRE(upgraded);
    CHECK(upgraded->number("PRAGMA user_version").value() == meta_format_version);
    const auto gaps = GapLedger{*upgraded}.list();
    REQUIRE(gaps);
    CHECK(gaps.value().at(0).records == 4);
    CHECK(gaps.value().at(0).first_time == timestamp_none);
    CHECK(RejectedStore{*upgraded}.load().value().empty());
}

TEST_CASE("schema: entries of version 2 stay, of no log yet", "[meta]") {
    const TempDir dir;
    {
        auto old = Connection::open(dir.path() / meta_file_name, Connection::Access::read_write);
        REQUIRE(old);
        REQUIRE(old->run(make_positions));
        REQUIRE(old->run(
            "CREATE TABLE gap (id INTEGER PRIMARY KEY, topic TEXT NOT NULL, partition INTEGER NOT "
            "NULL, first INTEGER NOT NULL, end INTEGER NOT NULL, reason TEXT NOT NULL, noticed_ms "
            "INTEGER NOT NULL, first_time_ms INTEGER NOT NULL DEFAULT -1, last_time_ms INTEGER NOT "
            "NULL DEFAULT -1, records INTEGER NOT NULL DEFAULT 0, UNIQUE (topic, partition, first, "
            "end, reason)) STRICT;"
            "INSERT INTO gap VALUES (7, 't', 0, 5, 9, 'rot', 1000, 20, 30, 3);"
            "PRAGMA application_id = 1297108290; PRAGMA user_version = 2;"
        ));
    }
    const auto check = [](Connection& connection) {
        const auto gaps = GapLedger{connection, "0123"}.list();
        REQUIRE(gaps);
        REQUIRE(gaps->size() == 1);
        const Gap& gap = gaps->front();
        CHECK(gap.end == Offset{9});
        CHECK(gap.last_time == Timestamp{30});
        CHECK(gap.records == 3);
        CHECK(gap.log_id.empty());
    };
    {
        auto read = open_meta_read_only(dir.path());
        REQUIRE(read);
        check(*read);
    }
    auto upgraded = open_meta(dir.path());
    REQUIRE(upgraded);
    check(*upgraded);
}

TEST_CASE("schema: what Kafka has of a position of version 3 is not known", "[meta]") {
    const TempDir dir;
    {
        auto old = Connection::open(dir.path() / meta_file_name, Connection::Access::read_write);
        REQUIRE(old);
        REQUIRE(old->run(make_positions));
        REQUIRE(
            old->run("INSERT INTO position VALUES ('0123', 't', 0, 42);"
                     "PRAGMA application_id = 1297108290; PRAGMA user_version = 3;")
        );
    }
    const std::vector<ForwardPosition> positions{{{"t", 0}, Offset{42}, std::nullopt}};
    {
        auto read = open_meta_read_only(dir.path());
        REQUIRE(read);
        CHECK(PositionStore{*read}.load("0123").value() == positions);
    }
    auto upgraded = open_meta(dir.path());
    REQUIRE(upgraded);
    CHECK(PositionStore{*upgraded}.load("0123").value() == positions);
}
