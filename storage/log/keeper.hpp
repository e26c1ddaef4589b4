#pragma once

#include "storage/base/bytes.hpp"
#include "storage/base/result.hpp"
#include "storage/base/time.hpp"
#include "storage/format/offsets.hpp"

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

namespace milepost::storage {

// A change of one MQTT session's state as the journal holds it, or several one behind the other;
// empty: the session is gone. Read from a Keeper: the whole state.
struct SessionDelta {
    std::string client_id;
    Buffer state;
};

// Offsets [first, end) of a partition that the log does not have any more, though nobody has
// confirmed them, and why. With a reason of retention (retention.hpp) it counts as far as `start`
// has passed it.
struct Gap {
    TopicPartition partition;
    Offset first;
    Offset end;
    std::string reason;  // rot, drop_oldest, retention_age, …
    Timestamp noticed;
    // When they were taken in, as far as that is known.
    Timestamp first_time = timestamp_none;
    Timestamp last_time = timestamp_none;
    std::int64_t records = 0;  // of them that no earlier entry names; the ledger works it out
    // Of the log whose offsets these are; the Keeper puts it in. Empty: entered by a version that
    // did not say, and not taken over since.
    std::string log_id{};
};

enum class LogOrigin : std::uint8_t {
    found,                // its journal is there
    made,                 // there was nothing
    made_behind_segments  // a new journal, because the old one cannot be read; the same readings
};

// The log that is being opened, as recovery found it.
struct KeptLog {
    std::string id;  // 16 hex digits
    LogOrigin origin = LogOrigin::found;
    // Below which offset an entry without this log's id can be about this log's readings.
    std::function<Offset(const Gap&)> reach;
};

// What the log asks of meta; meta implements it, app wires it. Thread: the checkpointer's, and the
// opening thread during recovery. When a call returns well, what it was given is durable.
class Keeper {
public:
    Keeper() = default;
    Keeper(const Keeper&) = delete;
    Keeper& operator=(const Keeper&) = delete;
    virtual ~Keeper() = default;

    // Once, before everything else, and before a new journal is durable: whose gaps these are.
    // Entries of another log stay, and are not shown. Where the journal alone was lost, those of
    // the log that was kept last become this one's, as far as `reach` says; so do entries without
    // an id, but not those that an empty folder finds. After an error it keeps for that log all the
    // same, without what it should have taken over.
    virtual Result<void> serve(const KeptLog& /*log*/) { return {}; }

    // In the order in which they were appended. Folding the same ones again changes nothing: after
    // a crash they come again.
    virtual Result<void> fold(std::span<const SessionDelta> deltas) = 0;
    // The same gap may come again, after a crash: that changes nothing.
    virtual Result<void> record(const Gap& gap) = 0;

    // All of the log that is served, in the order in which they were recorded.
    virtual Result<std::vector<Gap>> gaps() { return std::vector<Gap>{}; }

    // A checkpoint is done: the moment to save what may be lost since the last one.
    virtual void on_checkpoint() {}
};

}  // namespace milepost::storage
