#include "storage/meta/rejected_store.hpp"

#include <string_view>

namespace milepost::storage {

Result<void> RejectedStore::save(std::span<const RejectedCount> counts) {
    auto transaction = Transaction::begin(connection_);
    if (!transaction) return transaction.error();
    auto put = connection_.prepare(
        "INSERT INTO rejected (reason, count) VALUES (?1, ?2) "
        "ON CONFLICT DO UPDATE SET count = excluded.count"
    );
    if (!put) return put.error();
    for (const RejectedCount& one : counts) {
        put->bind(1, std::string_view{one.reason});
        put->bind(2, static_cast<std::int64_t>(one.count));
        MILEPOST_TRY(put->run());
    }
    return transaction->commit();
}

Result<std::vector<RejectedCount>> RejectedStore::load() {
    const auto version = connection_.number("PRAGMA user_version");
    if (!version) return version.error();
    std::vector<RejectedCount> counts;
    if (version.value() < 2) return counts;  // only read, and older
    auto select = connection_.prepare("SELECT reason, count FROM rejected ORDER BY reason");
    if (!select) return select.error();
    while (true) {
        const auto row = select->step();
        if (!row) return row.error();
        if (!row.value()) return counts;
        counts.push_back(
            {.reason = select->text(0), .count = static_cast<std::uint64_t>(select->integer(1))}
        );
    }
}

}  // namespace milepost::storage
