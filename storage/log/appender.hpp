#pragma once

#include "storage/base/ack_token.hpp"
#include "storage/base/bytes.hpp"
#include "storage/base/result.hpp"
#include "storage/base/strong_int.hpp"
#include "storage/format/offsets.hpp"
#include "storage/format/record.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace milepost::storage {

// A partition of this log while it is open: dense, from 0, valid as long as the Log.
struct PartitionIdTag;
using PartitionId = StrongInt<PartitionIdTag, std::uint32_t>;

// Why the log takes no readings in at the moment.
enum class IntakeState : std::uint8_t {
    open,
    ring_full,  // the checkpointer has not freed the journal yet; opens by itself
    // The disk, or the log's limit, is down to the reserve; opens by itself. Dead letters are taken
    // in meanwhile, up to half of the reserve.
    disk_reserve,
    sync_failed,  // the journal failed, and so did its successor; opens by itself
    closed,       // stopping
};

// A change to what is kept of a session, to become durable with the group. Opaque to the log, and
// such that changes of one client may be put one behind the other.
struct SessionChange {
    std::string_view client_id;
    Bytes bytes;  // empty: nothing changes
};

// What ingest (and later the dead letters) hold of the log. Thread: the owner of the open group.
class Appender {
public:
    Appender() = default;
    Appender(const Appender&) = delete;
    Appender& operator=(const Appender&) = delete;
    virtual ~Appender() = default;

    // Puts a record into the open group and gives it its offset; `token` comes back by on_durable
    // when the group is on the disk, in the order of the appends. An error means the record is in
    // no group: LogErrc::record_too_large, LogErrc::group_full (commit, then again),
    // LogErrc::intake_closed.
    // `change` comes into the same group, or nothing does.
    virtual Result<Offset> append(
        PartitionId partition,
        const RecordView& record,
        std::optional<AckToken> token,
        const SessionChange& change
    ) = 0;

    Result<Offset> append(
        PartitionId partition,
        const RecordView& record,
        std::optional<AckToken> token
    ) {
        return append(partition, record, token, SessionChange{});
    }

    // A change without a record. Errors as append().
    virtual Result<void> append_change(
        const SessionChange& change,
        std::optional<AckToken> token
    ) = 0;
    // Puts a session's new state into the open group: `key` is the client id; an empty `state`
    // means the session is gone. Opaque to the log; folded into the Keeper before its frame is
    // freed.
    virtual Result<void> append_session(
        std::string_view client_id,
        Bytes state,
        std::optional<AckToken> token
    ) = 0;
    // Lets a token ride with the open group without a record: the ack of a refused publish keeps
    // its place among the others. Never fails.
    virtual void append_token(AckToken token) = 0;
    [[nodiscard]] virtual IntakeState intake() const = 0;
    // Bytes of records in the open group; above group_bytes / 2 QoS 0 is the first to be dropped.
    [[nodiscard]] virtual std::size_t open_group_bytes() const = 0;
};

}  // namespace milepost::storage
