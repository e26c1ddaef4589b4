#pragma once

#include "storage/base/result.hpp"
#include "storage/log/keeper.hpp"
#include "storage/meta/database.hpp"

#include <span>
#include <vector>

namespace milepost::storage {

// The last folded state of each MQTT session; what the bytes mean is the gateway's business.
// Lifetime: `connection` (open_meta) outlives it. Thread: the connection's (the checkpointer).
class SessionStore {
public:
    explicit SessionStore(Connection& connection)
        : connection_(connection) {}

    // In order, later ones win; an empty state removes the session. One transaction, durable on
    // return; folding twice changes nothing.
    Result<void> fold(std::span<const SessionDelta> deltas);
    // All sessions, by client id.
    Result<std::vector<SessionDelta>> load();

private:
    Connection& connection_;
};

}  // namespace milepost::storage
