#pragma once

#include "storage/base/result.hpp"
#include "storage/log/keeper.hpp"
#include "storage/meta/database.hpp"

#include <vector>

namespace milepost::storage {

// Every stretch of offsets that the log lost, and why. Entries are never removed.
// Lifetime: `connection` (open_meta) outlives it. Thread: the connection's (the checkpointer).
class GapLedger {
public:
    explicit GapLedger(Connection& connection)
        : connection_(connection) {}

    // Durable on return. The same hole, found again by a later recovery, is one entry.
    Result<void> append(const Gap& gap);
    // In the order in which they were noticed.
    Result<std::vector<Gap>> list();

private:
    Connection& connection_;
};

}  // namespace milepost::storage
