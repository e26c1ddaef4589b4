#pragma once

#include "storage/base/result.hpp"
#include "storage/log/keeper.hpp"
#include "storage/meta/database.hpp"
#include "storage/meta/gap_ledger.hpp"
#include "storage/meta/session_store.hpp"

#include <span>
#include <utility>

namespace milepost::storage {

// What the log gives away before it frees journal frames, kept in meta.db: the checkpointer's
// connection. Thread: one at a time, see Keeper.
class MetaKeeper final : public Keeper {
public:
    explicit MetaKeeper(Connection connection, SessionMerge merge = last_change)
        : connection_(std::move(connection))
        , merge_(merge) {}

    Result<void> fold(std::span<const SessionDelta> deltas) override {
        return SessionStore{connection_, merge_}.fold(deltas);
    }

    Result<void> record(const Gap& gap) override { return GapLedger{connection_}.append(gap); }

    // After the log was opened: its recovery has folded what is newer.
    Result<std::vector<SessionDelta>> sessions() { return SessionStore{connection_}.load(); }

    Result<std::vector<Gap>> gaps() override { return GapLedger{connection_}.list(); }

private:
    Connection connection_;
    SessionMerge merge_;
};

}  // namespace milepost::storage
