#pragma once

#include "storage/base/result.hpp"
#include "storage/log/keeper.hpp"
#include "storage/meta/database.hpp"

#include <string>
#include <utility>
#include <vector>

namespace milepost::storage {

// Every stretch of offsets that a log lost or let expire, and why. An entry is of one log: to
// another one its offsets are other readings. Entries are never removed.
// Lifetime: `connection` (open_meta) outlives it. Thread: the connection's (the checkpointer).
class GapLedger {
public:
    // `log_id`: whose entries; empty: the log's that was served last.
    explicit GapLedger(Connection& connection, std::string log_id = {})
        : connection_(connection)
        , log_id_(std::move(log_id)) {}

    // Keeper::serve(): all of it or nothing, in one transaction.
    Result<void> serve(const KeptLog& log);
    // Durable on return. What is in an entry with that reason already changes nothing; what goes on
    // where one ends makes that one longer. So an outage is an entry, however many segments it
    // cost.
    Result<void> append(const Gap& gap);
    // In the order in which they were noticed; also those that no log has taken over yet.
    Result<std::vector<Gap>> list();

private:
    Result<void> find_log();

    Connection& connection_;
    std::string log_id_;
};

}  // namespace milepost::storage
