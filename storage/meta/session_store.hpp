#pragma once

#include "storage/base/bytes.hpp"
#include "storage/base/result.hpp"
#include "storage/log/keeper.hpp"
#include "storage/meta/database.hpp"

#include <span>
#include <string_view>
#include <vector>

namespace milepost::storage {

// What becomes of a session's state (empty: none yet) by changes, in their order. Pure: called on
// the checkpointer's thread. Applying the same changes again must change nothing.
using SessionMerge = Buffer (*)(Bytes state, std::span<const Bytes> changes);

// Where there is no other: the last change is the state.
[[nodiscard]] Buffer last_change(Bytes state, std::span<const Bytes> changes);

// The last folded state of each MQTT session; what the bytes mean is the gateway's business.
// Lifetime: `connection` (open_meta) outlives it. Thread: the connection's (the checkpointer).
class SessionStore {
public:
    explicit SessionStore(Connection& connection, SessionMerge merge = last_change)
        : connection_(connection)
        , merge_(merge) {}

    // In order; an empty delta removes the session. One transaction, durable on return.
    Result<void> fold(std::span<const SessionDelta> deltas);
    // All sessions, by client id.
    Result<std::vector<SessionDelta>> load();

private:
    // The state of a client, or nothing.
    Result<Buffer> state_of(Statement& select, std::string_view client_id);

    Connection& connection_;
    SessionMerge merge_;
};

}  // namespace milepost::storage
