#include "storage/meta/position_store.hpp"

#include <cstdint>

namespace milepost::storage {

namespace {

constexpr std::int64_t version_with_in_kafka = 4;
constexpr Offset not_known{-1};

// One that is only read may be older.
std::string_view select_positions_of(std::int64_t version) {
    if (version < version_with_in_kafka) {
        return "SELECT topic, partition, forwarded, -1 FROM position WHERE log_id = ?1 "
               "ORDER BY topic, partition";
    }
    return "SELECT topic, partition, forwarded, in_kafka FROM position WHERE log_id = ?1 "
           "ORDER BY topic, partition";
}

}  // namespace

Result<void> PositionStore::save(
    std::string_view log_id,
    std::span<const ForwardPosition> positions
) {
    if (positions.empty()) return {};
    auto transaction = Transaction::begin(connection_);
    if (!transaction) return transaction.error();
    auto upsert = connection_.prepare(
        "INSERT INTO position (log_id, topic, partition, forwarded, in_kafka) "
        "VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO UPDATE "
        "SET forwarded = excluded.forwarded, in_kafka = excluded.in_kafka"
    );
    if (!upsert) return upsert.error();
    for (const auto& position : positions) {
        upsert->bind(1, log_id);
        upsert->bind(2, std::string_view{position.partition.topic});
        upsert->bind(3, std::int64_t{position.partition.partition});
        upsert->bind(4, position.forwarded.value());
        upsert->bind(5, position.in_kafka.value_or(not_known).value());
        MILEPOST_TRY(upsert->run());
    }
    return transaction->commit();
}

Result<std::vector<ForwardPosition>> PositionStore::load(std::string_view log_id) {
    const auto version = connection_.number("PRAGMA user_version");
    if (!version) return version.error();
    auto select = connection_.prepare(select_positions_of(version.value()));
    if (!select) return select.error();
    select->bind(1, log_id);
    std::vector<ForwardPosition> positions;
    while (true) {
        const auto row = select->step();
        if (!row) return row.error();
        if (!row.value()) return positions;
        const Offset in_kafka{select->integer(3)};
        positions.push_back(ForwardPosition{
            .partition =
                {.topic = select->text(0),
                 .partition = static_cast<std::int32_t>(select->integer(1))},
            .forwarded = Offset{select->integer(2)},
            .in_kafka = in_kafka == not_known ? std::nullopt : std::optional{in_kafka},
        });
    }
}

}  // namespace milepost::storage
