#include "storage/meta/gap_ledger.hpp"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>

namespace milepost::storage {

namespace {

// Of entries that no log has taken over, and that none can: whose they are is not known.
constexpr std::string_view no_log{};
constexpr std::string_view unknown_log{"unknown"};
constexpr std::int64_t version_with_log_ids = 3;

// Parameters 1 to 3 of every statement here.
void bind_place(Statement& statement, const Gap& gap) {
    statement.bind(1, std::string_view{gap.log_id});
    statement.bind(2, std::string_view{gap.partition.topic});
    statement.bind(3, std::int64_t{gap.partition.partition});
}

struct Entry {
    std::int64_t id = 0;
    Offset end;
};

// The entry with that reason that the gap lies in, or goes on behind.
Result<std::optional<Entry>> find_before(Connection& connection, const Gap& gap) {
    auto select = connection.prepare(
        "SELECT id, end FROM gap WHERE log_id = ?1 AND topic = ?2 AND partition = ?3 "
        "AND reason = ?4 AND first <= ?5 AND end >= ?5 ORDER BY end DESC LIMIT 1"
    );
    if (!select) return select.error();
    bind_place(*select, gap);
    select->bind(4, std::string_view{gap.reason});
    select->bind(5, gap.first.value());
    const auto row = select->step();
    if (!row) return row.error();
    if (!row.value()) return std::optional<Entry>{};
    return std::optional{Entry{.id = select->integer(0), .end = Offset{select->integer(1)}}};
}

// How many of these offsets no entry names.
Result<std::int64_t> count_new(Connection& connection, const Gap& gap, Offset first) {
    auto select = connection.prepare(
        "SELECT coalesce(sum(max(0, min(end, ?5) - max(first, ?4))), 0) FROM gap "
        "WHERE log_id = ?1 AND topic = ?2 AND partition = ?3"
    );
    if (!select) return select.error();
    bind_place(*select, gap);
    select->bind(4, first.value());
    select->bind(5, gap.end.value());
    const auto row = select->step();
    if (!row) return row.error();
    return std::max<std::int64_t>(0, gap.end - first - select->integer(0));
}

Result<void> extend(Connection& connection, const Entry& entry, const Gap& gap) {
    const auto records = count_new(connection, gap, entry.end);
    if (!records) return records.error();
    auto update = connection.prepare(
        "UPDATE gap SET end = ?2, last_time_ms = max(last_time_ms, ?3), records = records + ?4 "
        "WHERE id = ?1"
    );
    if (!update) return update.error();
    update->bind(1, entry.id);
    update->bind(2, gap.end.value());
    update->bind(3, gap.last_time.value());
    update->bind(4, *records);
    return update->run();
}

Result<void> insert(Connection& connection, const Gap& gap) {
    const auto records = count_new(connection, gap, gap.first);
    if (!records) return records.error();
    auto insert = connection.prepare(
        "INSERT OR IGNORE INTO gap (log_id, topic, partition, first, end, reason, noticed_ms, "
        "first_time_ms, last_time_ms, records) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)"
    );
    if (!insert) return insert.error();
    bind_place(*insert, gap);
    insert->bind(4, gap.first.value());
    insert->bind(5, gap.end.value());
    insert->bind(6, std::string_view{gap.reason});
    insert->bind(7, gap.noticed.value());
    insert->bind(8, gap.first_time.value());
    insert->bind(9, gap.last_time.value());
    insert->bind(10, *records);
    return insert->run();
}

Result<void> enter(Connection& connection, const Gap& gap) {
    const auto before = find_before(connection, gap);
    if (!before) return before.error();
    if (!before->has_value()) return insert(connection, gap);
    return (*before)->end < gap.end ? extend(connection, **before, gap) : Result<void>{};
}

Result<std::int64_t> version_of(Connection& connection) {
    return connection.number("PRAGMA user_version");
}

// One that is only read may be older than what the gateway made of it.
std::string_view select_for(std::int64_t version) {
    if (version < 2) {
        return "SELECT topic, partition, first, end, reason, noticed_ms, -1, -1, end - first, '' "
               "FROM gap ORDER BY id";
    }
    if (version < version_with_log_ids) {
        return "SELECT topic, partition, first, end, reason, noticed_ms, first_time_ms, "
               "last_time_ms, records, '' FROM gap ORDER BY id";
    }
    return "SELECT topic, partition, first, end, reason, noticed_ms, first_time_ms, "
           "last_time_ms, records, log_id FROM gap WHERE log_id = ?1 ORDER BY id";
}

Result<std::vector<Gap>> read(Connection& connection, std::string_view log_id) {
    const auto version = version_of(connection);
    if (!version) return version.error();
    auto select = connection.prepare(select_for(*version));
    if (!select) return select.error();
    if (*version >= version_with_log_ids) select->bind(1, log_id);
    std::vector<Gap> gaps;
    while (true) {
        const auto row = select->step();
        if (!row) return row.error();
        if (!row.value()) return gaps;
        gaps.push_back(Gap{
            .partition =
                {.topic = select->text(0),
                 .partition = static_cast<std::int32_t>(select->integer(1))},
            .first = Offset{select->integer(2)},
            .end = Offset{select->integer(3)},
            .reason = select->text(4),
            .noticed = Timestamp{select->integer(5)},
            .first_time = Timestamp{select->integer(6)},
            .last_time = Timestamp{select->integer(7)},
            .records = select->integer(8),
            .log_id = select->text(9),
        });
    }
}

// The entries of another log become this one's as well, as far as they can be about its readings.
Result<void> take_over(Connection& connection, std::string_view from, const KeptLog& log) {
    const auto gaps = read(connection, from);
    if (!gaps) return gaps.error();
    for (Gap gap : *gaps) {
        gap.end = std::min(gap.end, log.reach(gap));
        gap.log_id = log.id;
        if (gap.first < gap.end) MILEPOST_TRY(enter(connection, gap));
    }
    return {};
}

Result<void> give_up_unowned(Connection& connection) {
    auto update = connection.prepare("UPDATE OR IGNORE gap SET log_id = ?1 WHERE log_id = ?2");
    if (!update) return update.error();
    update->bind(1, unknown_log);
    update->bind(2, no_log);
    return update->run();
}

Result<void> note_served(Connection& connection, std::string_view log_id) {
    auto upsert = connection.prepare(
        "INSERT INTO served (one, log_id) VALUES (1, ?1) "
        "ON CONFLICT DO UPDATE SET log_id = excluded.log_id"
    );
    if (!upsert) return upsert.error();
    upsert->bind(1, log_id);
    return upsert->run();
}

Result<std::string> served_last(Connection& connection) {
    auto select = connection.prepare("SELECT log_id FROM served");
    if (!select) return select.error();
    const auto row = select->step();
    if (!row) return row.error();
    return *row ? select->text(0) : std::string{};
}

}  // namespace

Result<void> GapLedger::serve(const KeptLog& log) {
    log_id_ = log.id;
    const auto last = served_last(connection_);
    if (!last) return last.error();
    const auto unowned = connection_.number("SELECT count(*) FROM gap WHERE log_id = ''");
    if (!unowned) return unowned.error();
    // Nothing to write: on a full disk, too, then.
    if (*last == log.id && *unowned == 0) return {};

    auto transaction = Transaction::begin(connection_);
    if (!transaction) return transaction.error();
    if (log.origin == LogOrigin::made_behind_segments && *last != log.id) {
        MILEPOST_TRY(take_over(connection_, *last, log));
    }
    if (*unowned > 0) {
        if (log.origin != LogOrigin::made) MILEPOST_TRY(take_over(connection_, no_log, log));
        MILEPOST_TRY(give_up_unowned(connection_));
    }
    MILEPOST_TRY(note_served(connection_, log.id));
    return transaction->commit();
}

Result<void> GapLedger::append(const Gap& gap) {
    MILEPOST_TRY(find_log());
    Gap own = gap;
    own.log_id = log_id_;
    auto transaction = Transaction::begin(connection_);
    if (!transaction) return transaction.error();
    MILEPOST_TRY(enter(connection_, own));
    return transaction->commit();
}

Result<std::vector<Gap>> GapLedger::list() {
    MILEPOST_TRY(find_log());
    auto gaps = read(connection_, log_id_);
    if (!gaps) return gaps;
    const auto version = version_of(connection_);
    if (!version) return version.error();
    if (*version < version_with_log_ids || log_id_.empty()) return gaps;
    auto unowned = read(connection_, no_log);
    if (!unowned) return unowned;
    gaps->insert(gaps->begin(), unowned->begin(), unowned->end());
    return gaps;
}

Result<void> GapLedger::find_log() {
    if (!log_id_.empty()) return {};
    const auto version = version_of(connection_);
    if (!version) return version.error();
    if (*version < version_with_log_ids) return {};
    auto last = served_last(connection_);
    if (!last) return last.error();
    log_id_ = std::move(*last);
    return {};
}

}  // namespace milepost::storage
