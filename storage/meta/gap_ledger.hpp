#pragma once

#include "storage/base/result.hpp"
#include "storage/log/keeper.hpp"
#include "storage/meta/database.hpp"

#include <vector>

namespace milepost::storage {

// Every stretch of offsets that the log lost or let expire, and why. Entries are never removed.
// Lifetime: `connection` (open_meta) outlives it. Thread: the connection's (the checkpointer).
class GapLedger {
public:
    explicit GapLedger(Connection& connection)
        : connection_(connection) {}

    // Durable on return. What is in an entry with that reason already changes nothing; what goes on
    // where one ends makes that one longer. So an outage is an entry, however many segments it
    // cost.
    Result<void> append(const Gap& gap);
    // In the order in which they were noticed.
    Result<std::vector<Gap>> list();

private:
    Connection& connection_;
};

}  // namespace milepost::storage
