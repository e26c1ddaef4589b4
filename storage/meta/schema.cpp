#include "storage/meta/schema.hpp"

#include "storage/meta/errc.hpp"

#include <array>
#include <string>
#include <system_error>

namespace milepost::storage {

namespace {

constexpr std::int64_t application_id = 0x4d504d42;  // "MPMB"
constexpr int damaged_files_max = 1000;

// Step i brings a database from version i to i + 1. A released step is never changed.
constexpr std::array<const char*, meta_format_version> steps = {
    R"sql(
CREATE TABLE position (
    log_id    TEXT    NOT NULL,
    topic     TEXT    NOT NULL,
    partition INTEGER NOT NULL,
    forwarded INTEGER NOT NULL,
    PRIMARY KEY (log_id, topic, partition)
) STRICT, WITHOUT ROWID;
CREATE TABLE session (
    client_id TEXT NOT NULL PRIMARY KEY,
    state     BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE gap (
    id         INTEGER PRIMARY KEY,
    topic      TEXT    NOT NULL,
    partition  INTEGER NOT NULL,
    first      INTEGER NOT NULL,
    end        INTEGER NOT NULL,
    reason     TEXT    NOT NULL,
    noticed_ms INTEGER NOT NULL,
    UNIQUE (topic, partition, first, end, reason)
) STRICT;
)sql",
    R"sql(
ALTER TABLE gap ADD COLUMN first_time_ms INTEGER NOT NULL DEFAULT -1;
ALTER TABLE gap ADD COLUMN last_time_ms INTEGER NOT NULL DEFAULT -1;
ALTER TABLE gap ADD COLUMN records INTEGER NOT NULL DEFAULT 0;
UPDATE gap SET records = end - first;
CREATE TABLE rejected (
    reason TEXT    NOT NULL PRIMARY KEY,
    count  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
)sql",
    // Whose gaps: '' until the next start knows, see Keeper::serve().
    R"sql(
CREATE TABLE gap_of_log (
    id            INTEGER PRIMARY KEY,
    log_id        TEXT    NOT NULL,
    topic         TEXT    NOT NULL,
    partition     INTEGER NOT NULL,
    first         INTEGER NOT NULL,
    end           INTEGER NOT NULL,
    reason        TEXT    NOT NULL,
    noticed_ms    INTEGER NOT NULL,
    first_time_ms INTEGER NOT NULL,
    last_time_ms  INTEGER NOT NULL,
    records       INTEGER NOT NULL,
    UNIQUE (log_id, topic, partition, first, end, reason)
) STRICT;
INSERT INTO gap_of_log SELECT id, '', topic, partition, first, end, reason, noticed_ms,
    first_time_ms, last_time_ms, records FROM gap;
DROP TABLE gap;
ALTER TABLE gap_of_log RENAME TO gap;
CREATE TABLE served (
    one    INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
    log_id TEXT    NOT NULL
) STRICT;
)sql",
    // -1: not known, of a version that did not note it.
    R"sql(
ALTER TABLE position ADD COLUMN in_kafka INTEGER NOT NULL DEFAULT -1;
)sql",
};

Result<std::int64_t> checked_version(Connection& connection) {
    const auto version = connection.number("PRAGMA user_version");
    if (!version) return version.error();
    const auto application = connection.number("PRAGMA application_id");
    if (!application) return application.error();
    const auto tables = connection.number("SELECT count(*) FROM sqlite_schema");
    if (!tables) return tables.error();
    const bool empty = version.value() == 0 && tables.value() == 0;
    if (!empty && application.value() != application_id) return MetaErrc::not_ours;
    if (version.value() > meta_format_version) return MetaErrc::newer_format;
    if (version.value() < 0) return MetaErrc::corrupt;
    return version.value();
}

Result<void> upgrade(Connection& connection) {
    const auto before = checked_version(connection);
    if (!before) return before.error();
    if (before.value() == meta_format_version) return {};

    // Another connection may do the same: look again inside the transaction.
    auto transaction = Transaction::begin(connection);
    if (!transaction) return transaction.error();
    const auto version = checked_version(connection);
    if (!version) return version.error();
    for (auto step = static_cast<std::size_t>(version.value()); step < steps.size(); ++step) {
        MILEPOST_TRY(connection.run(steps[step]));
    }
    const std::string marks = "PRAGMA application_id=" + std::to_string(application_id) +
                              "; PRAGMA user_version=" + std::to_string(meta_format_version);
    MILEPOST_TRY(connection.run(marks.c_str()));
    return transaction->commit();
}

Result<Connection> open_for_writing(const std::filesystem::path& data_dir) {
    auto connection = Connection::open(data_dir / meta_file_name, Connection::Access::read_write);
    if (!connection) return connection.error();
    MILEPOST_TRY(upgrade(*connection));
    return connection;
}

// Not the file's fault: SQLite wants to write beside it even to read it, and cannot.
bool is_the_disks(const ErrorCode& error) {
    return error == MetaErrc::disk_full || error == MetaErrc::read_only ||
           error == MetaErrc::io_error || error == MetaErrc::cannot_open;
}

}  // namespace

Result<Connection> open_meta(const std::filesystem::path& data_dir) {
    auto connection = open_for_writing(data_dir);
    if (connection || !is_the_disks(connection.error())) return connection;
    auto standing_by = open_meta_read_only(data_dir);
    if (!standing_by) return connection.error();
    MILEPOST_TRY(standing_by->stand_by([data_dir] { return open_for_writing(data_dir); }));
    return standing_by;
}

Result<Connection> open_meta_read_only(const std::filesystem::path& data_dir) {
    auto connection = Connection::open(data_dir / meta_file_name, Connection::Access::read_only);
    if (!connection) return connection.error();
    const auto version = checked_version(*connection);
    if (!version) return version.error();
    // Killed before its first transaction: nothing in it.
    if (version.value() == 0) return MetaErrc::cannot_open;
    return connection;
}

Result<std::filesystem::path> set_meta_aside(const std::filesystem::path& data_dir) {
    const auto file = data_dir / meta_file_name;
    std::error_code error;
    for (int number = 1; number <= damaged_files_max; ++number) {
        const std::filesystem::path aside = file.string() + ".damaged-" + std::to_string(number);
        if (std::filesystem::exists(aside, error)) continue;
        std::filesystem::rename(file, aside, error);
        if (error) return MetaErrc::io_error;
        // A -wal that stayed would be taken for the new file's.
        std::filesystem::rename(file.string() + "-wal", aside.string() + "-wal", error);
        std::filesystem::remove(file.string() + "-shm", error);
        return aside;
    }
    return MetaErrc::io_error;
}

}  // namespace milepost::storage
