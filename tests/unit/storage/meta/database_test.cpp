#include "storage/meta/database.hpp"

#include "storage/meta/errc.hpp"
#include "tests/support/matchers.hpp"
#include "tests/support/temp_dir.hpp"

#include <algorithm>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

using namespace milepost;
using namespace milepost::storage;
using milepost::test::TempDir;

namespace {

Connection open_table(const TempDir& dir) {
    auto connection = Connection::open(dir.path() / "t.db", Connection::Access::read_write);
    REQUIRE(connection);
    REQUIRE(connection->run("CREATE TABLE t (a INTEGER, b TEXT, c BLOB)"));
    return std::move(connection).value();
}

}  // namespace

TEST_CASE("database: what was bound is read back", "[meta]") {
    const TempDir dir;
    auto connection = open_table(dir);
    auto insert = connection.prepare("INSERT INTO t VALUES (?1, ?2, ?3)");
    REQUIRE(insert);
    const std::string text{"zero\0inside", 11};
    insert->bind(1, std::int64_t{-7});
    insert->bind(2, std::string_view{text});
    insert->bind(3, Bytes{});
    REQUIRE(insert->run());

    auto select = connection.prepare("SELECT a, b, c, typeof(c) FROM t");
    REQUIRE(select);
    const auto row = select->step();
    REQUIRE(row);
    REQUIRE(row.value());
    CHECK(select->integer(0) == -7);
    CHECK(select->text(1) == text);
    CHECK(select->bytes(2).empty());
    CHECK(select->text(3) == "blob");
}

TEST_CASE("database: one that stands by reads, and writes as soon as it may", "[meta]") {
    const TempDir dir;
    REQUIRE(open_table(dir).run("INSERT INTO t VALUES (1, '', '')"));
    const auto file = dir.path() / "t.db";
    auto connection = Connection::open(file, Connection::Access::read_only);
    REQUIRE(connection);
    bool is_full = true;
    int tries = 0;
    REQUIRE(connection->stand_by([&]() -> Result<Connection> {
        ++tries;
        if (is_full) return MetaErrc::disk_full;
        return Connection::open(file, Connection::Access::read_write);
    }));
    CHECK(connection->number("SELECT count(*) FROM t").value() == 1);
    CHECK(connection->run("INSERT INTO t VALUES (2, '', '')").error() == MetaErrc::read_only);
    CHECK(tries == 2);
    is_full = false;
    REQUIRE(connection->run("INSERT INTO t VALUES (2, '', '')"));
    CHECK(connection->number("SELECT count(*) FROM t").value() == 2);
    CHECK(tries == 3);
}

TEST_CASE("database: a transaction that is not committed leaves nothing", "[meta]") {
    const TempDir dir;
    auto connection = open_table(dir);
    {
        auto transaction = Transaction::begin(connection);
        REQUIRE(transaction);
        REQUIRE(connection.run("INSERT INTO t (a) VALUES (1)"));
    }
    CHECK(connection.number("SELECT count(*) FROM t").value() == 0);
    {
        auto transaction = Transaction::begin(connection);
        REQUIRE(transaction);
        REQUIRE(connection.run("INSERT INTO t (a) VALUES (1)"));
        REQUIRE(transaction->commit());
    }
    CHECK(connection.number("SELECT count(*) FROM t").value() == 1);
}

TEST_CASE("database: commits are synced before they return", "[meta]") {
    const TempDir dir;
    auto connection = open_table(dir);
    CHECK(connection.number("PRAGMA synchronous").value() == 2);  // FULL
    CHECK(std::filesystem::exists(dir.path() / "t.db-wal"));
}

TEST_CASE("database: a binding that does not exist is reported by the step", "[meta]") {
    const TempDir dir;
    auto connection = open_table(dir);
    auto insert = connection.prepare("INSERT INTO t (a) VALUES (?1)");
    REQUIRE(insert);
    insert->bind(2, std::int64_t{1});
    const auto run = insert->run();
    REQUIRE_FALSE(run);
    CHECK(run.error() == MetaErrc::unexpected);
}

TEST_CASE("database: a file that is no database and a missing folder are told apart", "[meta]") {
    const TempDir dir;
    std::ofstream{dir.path() / "text.db"} << std::string(5000, 'x');
    const auto text = Connection::open(dir.path() / "text.db", Connection::Access::read_write);
    REQUIRE_FALSE(text);
    CHECK(text.error() == MetaErrc::not_ours);
    const auto missing =
        Connection::open(dir.path() / "no" / "t.db", Connection::Access::read_write);
    REQUIRE_FALSE(missing);
    CHECK(missing.error() == MetaErrc::cannot_open);
}

TEST_CASE("database: a reader sees commits that only the -wal holds and writes nothing", "[meta]") {
    const TempDir dir;
    auto connection = open_table(dir);
    REQUIRE(connection.run("INSERT INTO t (a) VALUES (42)"));
    // As a killed process leaves them, in a folder whose name needs escaping in a URI.
    const auto killed = dir.path() / "100% #1?";
    std::filesystem::create_directory(killed);
    std::filesystem::copy_file(dir.path() / "t.db", killed / "t.db");
    std::filesystem::copy_file(dir.path() / "t.db-wal", killed / "t.db-wal");

    const auto names = [&] {
        std::vector<std::string> found;
        for (const auto& entry : std::filesystem::directory_iterator{killed}) {
            found.push_back(entry.path().filename().string());
        }
        std::sort(found.begin(), found.end());
        return found;
    };
    const auto before = names();
    {
        auto reader = Connection::open(killed / "t.db", Connection::Access::read_only);
        REQUIRE(reader);
        CHECK(reader->number("SELECT a FROM t").value() == 42);
        CHECK(names() == before);
    }
    CHECK(names() == before);

    std::filesystem::remove(killed / "t.db-wal");
    auto reader = Connection::open(killed / "t.db", Connection::Access::read_only);
    REQUIRE(reader);
    CHECK(names() == std::vector<std::string>{"t.db"});
}
