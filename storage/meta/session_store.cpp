#include "storage/meta/session_store.hpp"

#include <unordered_map>
#include <utility>

namespace milepost::storage {

namespace {

// What is to be done to one client's state: from nothing if a session of it ended meanwhile.
struct Changes {
    std::vector<Bytes> list;
    bool begins_anew = false;
};

std::unordered_map<std::string_view, Changes> by_client(std::span<const SessionDelta> deltas) {
    std::unordered_map<std::string_view, Changes> clients;
    for (const SessionDelta& delta : deltas) {
        Changes& changes = clients[delta.client_id];
        if (delta.state.empty()) {
            changes.list.clear();
            changes.begins_anew = true;
        } else {
            changes.list.emplace_back(delta.state);
        }
    }
    return clients;
}

}  // namespace

Buffer last_change(Bytes /*state*/, std::span<const Bytes> changes) {
    return {changes.back().begin(), changes.back().end()};
}

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
    auto select = connection_.prepare("SELECT state FROM session WHERE client_id = ?1");
    if (!select) return select.error();
    for (const auto& [client_id, changes] : by_client(deltas)) {
        if (changes.list.empty()) {
            remove->bind(1, client_id);
            MILEPOST_TRY(remove->run());
            continue;
        }
        Buffer before;
        if (!changes.begins_anew) {
            auto found = state_of(*select, client_id);
            if (!found) return found.error();
            before = std::move(*found);
        }
        const Buffer after = merge_(before, changes.list);
        put->bind(1, client_id);
        put->bind(2, Bytes{after});
        MILEPOST_TRY(put->run());
    }
    return transaction->commit();
}

Result<Buffer> SessionStore::state_of(Statement& select, std::string_view client_id) {
    select.bind(1, client_id);
    const auto row = select.step();
    if (!row) return row.error();
    Buffer state = row.value() ? select.bytes(0) : Buffer{};
    select.reset();
    return state;
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
