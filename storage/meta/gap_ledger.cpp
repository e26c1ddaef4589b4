#include "storage/meta/gap_ledger.hpp"

#include <cstdint>
#include <string_view>

namespace milepost::storage {

Result<void> GapLedger::append(const Gap& gap) {
    auto insert = connection_.prepare(
        "INSERT OR IGNORE INTO gap (topic, partition, first, end, reason, noticed_ms) "
        "VALUES (?1, ?2, ?3, ?4, ?5, ?6)"
    );
    if (!insert) return insert.error();
    insert->bind(1, std::string_view{gap.partition.topic});
    insert->bind(2, std::int64_t{gap.partition.partition});
    insert->bind(3, gap.first.value());
    insert->bind(4, gap.end.value());
    insert->bind(5, std::string_view{gap.reason});
    insert->bind(6, gap.noticed.value());
    return insert->run();
}

Result<std::vector<Gap>> GapLedger::list() {
    auto select = connection_.prepare(
        "SELECT topic, partition, first, end, reason, noticed_ms FROM gap ORDER BY id"
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
        });
    }
}

}  // namespace milepost::storage
