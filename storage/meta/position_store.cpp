#include "storage/meta/position_store.hpp"

#include <cstdint>

namespace milepost::storage {

Result<void> PositionStore::save(
    std::string_view log_id,
    std::span<const ForwardPosition> positions
) {
    if (positions.empty()) return {};
    auto transaction = Transaction::begin(connection_);
    if (!transaction) return transaction.error();
    auto upsert = connection_.prepare(
        "INSERT INTO position (log_id, topic, partition, forwarded) VALUES (?1, ?2, ?3, ?4) "
        "ON CONFLICT DO UPDATE SET forwarded = excluded.forwarded"
    );
    if (!upsert) return upsert.error();
    for (const auto& position : positions) {
        upsert->bind(1, log_id);
        upsert->bind(2, std::string_view{position.partition.topic});
        upsert->bind(3, std::int64_t{position.partition.partition});
        upsert->bind(4, position.forwarded.value());
        MILEPOST_TRY(upsert->run());
    }
    return transaction->commit();
}

Result<std::vector<ForwardPosition>> PositionStore::load(std::string_view log_id) {
    auto select = connection_.prepare(
        "SELECT topic, partition, forwarded FROM position WHERE log_id = ?1 "
        "ORDER BY topic, partition"
    );
    if (!select) return select.error();
    select->bind(1, log_id);
    std::vector<ForwardPosition> positions;
    while (true) {
        const auto row = select->step();
        if (!row) return row.error();
        if (!row.value()) return positions;
        positions.push_back(ForwardPosition{
            .partition =
                {.topic = select->text(0),
                 .partition = static_cast<std::int32_t>(select->integer(1))},
            .forwarded = Offset{select->integer(2)},
        });
    }
}

}  // namespace milepost::storage
