#include "storage/meta/session_store.hpp"

#include <string_view>

namespace milepost::storage {

Result<void> SessionStore::fold(std::span<const SessionDelta> deltas) {
    if (deltas.empty()) return {};
    auto transaction = Transaction::begin(connection_);
    if (!transaction) return transaction.error();
    auto put = connection_.prepare(
        "INSERT INTO session (client_id, state) VALUES (?1, ?2) "
        "ON CONFLICT DO UPDATE SET state = excluded.state"
    );
    if (!put) return put.error();
    auto remove = connection_.prepare("DELETE FROM session WHERE client_id = ?1");
    if (!remove) return remove.error();
    for (const auto& delta : deltas) {
        auto& statement = delta.state.empty() ? *remove : *put;
        statement.bind(1, std::string_view{delta.client_id});
        if (!delta.state.empty()) statement.bind(2, Bytes{delta.state});
        MILEPOST_TRY(statement.run());
    }
    return transaction->commit();
}

Result<std::vector<SessionDelta>> SessionStore::load() {
    auto select = connection_.prepare("SELECT client_id, state FROM session ORDER BY client_id");
    if (!select) return select.error();
    std::vector<SessionDelta> sessions;
    while (true) {
        const auto row = select->step();
        if (!row) return row.error();
        if (!row.value()) return sessions;
        sessions.push_back({.client_id = select->text(0), .state = select->bytes(1)});
    }
}

}  // namespace milepost::storage
