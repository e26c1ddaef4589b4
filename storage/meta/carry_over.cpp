#include "storage/meta/carry_over.hpp"

namespace milepost::storage {

namespace {

constexpr std::string_view copy_gaps =
    "INSERT OR IGNORE INTO gap (log_id, topic, partition, first, end, reason, noticed_ms, "
    "first_time_ms, last_time_ms, records) SELECT ?2, topic, partition, first, end, reason, "
    "noticed_ms, first_time_ms, last_time_ms, records FROM gap WHERE log_id = ?1 ORDER BY id";

constexpr std::string_view copy_positions =
    "INSERT OR REPLACE INTO position (log_id, topic, partition, forwarded, in_kafka) "
    "SELECT ?2, topic, partition, forwarded, in_kafka FROM position WHERE log_id = ?1";

Result<void> copy(
    Connection& connection,
    std::string_view statement,
    std::string_view from,
    std::string_view to
) {
    auto prepared = connection.prepare(statement);
    if (!prepared) return prepared.error();
    prepared->bind(1, from);
    prepared->bind(2, to);
    return prepared->run();
}

}  // namespace

Result<void> carry_over(
    Connection& connection,
    std::string_view from,
    std::string_view to,
    bool positions
) {
    auto transaction = Transaction::begin(connection);
    if (!transaction) return transaction.error();
    MILEPOST_TRY(copy(connection, copy_gaps, from, to));
    if (positions) MILEPOST_TRY(copy(connection, copy_positions, from, to));
    return transaction->commit();
}

}  // namespace milepost::storage
