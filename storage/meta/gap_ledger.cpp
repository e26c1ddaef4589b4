#include "storage/meta/gap_ledger.hpp"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string_view>

namespace milepost::storage {

namespace {

void bind_partition(Statement& statement, const TopicPartition& partition) {
    statement.bind(1, std::string_view{partition.topic});
    statement.bind(2, std::int64_t{partition.partition});
}

struct Entry {
    std::int64_t id = 0;
    Offset end;
};

// The entry with that reason that the gap lies in, or goes on behind.
Result<std::optional<Entry>> find_before(Connection& connection, const Gap& gap) {
    auto select = connection.prepare(
        "SELECT id, end FROM gap WHERE topic = ?1 AND partition = ?2 AND reason = ?3 "
        "AND first <= ?4 AND end >= ?4 ORDER BY end DESC LIMIT 1"
    );
    if (!select) return select.error();
    bind_partition(*select, gap.partition);
    select->bind(3, std::string_view{gap.reason});
    select->bind(4, gap.first.value());
    const auto row = select->step();
    if (!row) return row.error();
    if (!row.value()) return std::optional<Entry>{};
    return std::optional{Entry{.id = select->integer(0), .end = Offset{select->integer(1)}}};
}

// How many of these offsets no entry names.
Result<std::int64_t> count_new(Connection& connection, const Gap& gap, Offset first) {
    auto select = connection.prepare(
        "SELECT coalesce(sum(max(0, min(end, ?4) - max(first, ?3))), 0) FROM gap "
        "WHERE topic = ?1 AND partition = ?2"
    );
    if (!select) return select.error();
    bind_partition(*select, gap.partition);
    select->bind(3, first.value());
    select->bind(4, gap.end.value());
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
        "INSERT OR IGNORE INTO gap (topic, partition, first, end, reason, noticed_ms, "
        "first_time_ms, last_time_ms, records) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)"
    );
    if (!insert) return insert.error();
    bind_partition(*insert, gap.partition);
    insert->bind(3, gap.first.value());
    insert->bind(4, gap.end.value());
    insert->bind(5, std::string_view{gap.reason});
    insert->bind(6, gap.noticed.value());
    insert->bind(7, gap.first_time.value());
    insert->bind(8, gap.last_time.value());
    insert->bind(9, *records);
    return insert->run();
}

}  // namespace

Result<void> GapLedger::append(const Gap& gap) {
    auto transaction = Transaction::begin(connection_);
    if (!transaction) return transaction.error();
    const auto before = find_before(connection_, gap);
    if (!before) return before.error();
    if (!before->has_value()) {
        MILEPOST_TRY(insert(connection_, gap));
    } else if ((*before)->end < gap.end) {
        MILEPOST_TRY(extend(connection_, **before, gap));
    }
    return transaction->commit();
}

Result<std::vector<Gap>> GapLedger::list() {
    const auto version = connection_.number("PRAGMA user_version");
    if (!version) return version.error();
    // One that is only read may be older than what the gateway made of it.
    auto select = connection_.prepare(
        version.value() < 2 ? "SELECT topic, partition, first, end, reason, noticed_ms, -1, -1, "
                              "end - first FROM gap ORDER BY id"
                            : "SELECT topic, partition, first, end, reason, noticed_ms, "
                              "first_time_ms, last_time_ms, records FROM gap ORDER BY id"
    );
    if (!select) return select.error();
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
        });
    }
}

}  // namespace milepost::storage
