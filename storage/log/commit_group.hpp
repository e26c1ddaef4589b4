#pragma once

#include "storage/base/ack_token.hpp"
#include "storage/base/bytes.hpp"
#include "storage/base/result.hpp"
#include "storage/format/batch_builder.hpp"
#include "storage/format/offsets.hpp"
#include "storage/format/record.hpp"
#include "storage/log/appender.hpp"
#include "storage/log/session_deltas.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

namespace milepost::storage {

struct GroupLimits {
    std::size_t group_bytes = 0;          // what the payload of a group's frame may take
    std::size_t record_bytes = 0;         // the largest record
    std::size_t part_overhead_bytes = 0;  // what a frame adds to each batch or delta
};

// What waits for the disk: one batch per touched partition, session deltas, and the tokens of both
// in the order in which they came. Pure: knows no ring, no thread, no time. No allocation per
// record once it is warm.
class CommitGroup {
public:
    explicit CommitGroup(const GroupLimits& limits)
        : limits_(limits) {}

    // Room for partitions 0 .. count - 1.
    void make_room(std::size_t count);

    // Puts the record into the partition's batch; the first one of a partition begins its batch at
    // `next`. Gives the record's offset. LogErrc::group_full, LogErrc::record_too_large: it does
    // not fit, nothing changed. `change` comes with it or not at all.
    Result<Offset> add(
        PartitionId partition,
        Offset next,
        const RecordView& record,
        std::optional<AckToken> token,
        const SessionChange& change = {}
    );
    Result<void> add_change(const SessionChange& change, std::optional<AckToken> token);
    Result<void> add_session(
        std::string_view client_id,
        Bytes state,
        std::optional<AckToken> token
    );

    // A token without a record.
    void add_token(AckToken token) { tokens_.push_back(token); }

    // Neither records nor deltas nor tokens.
    [[nodiscard]] bool empty() const { return !needs_disk() && tokens_.empty(); }

    // Whether anything in it must be written before the tokens may go back.
    [[nodiscard]] bool needs_disk() const { return !touched_.empty() || !sessions_.empty(); }

    // The partitions it holds records of, in the order of their first record.
    [[nodiscard]] std::span<const PartitionId> touched() const { return touched_; }

    [[nodiscard]] BatchBuilder& batch(PartitionId partition) {
        return slots_[partition.value()].batch;
    }

    [[nodiscard]] const SessionDeltas& sessions() const { return sessions_; }

    [[nodiscard]] std::uint64_t records() const { return records_; }

    [[nodiscard]] std::uint64_t record_bytes() const { return record_bytes_; }

    // An upper bound of the bytes its parts take in a frame.
    [[nodiscard]] std::size_t bytes() const { return bytes_; }

    // Empties the group; what it held goes to the caller by swapping, so that memory stays warm.
    void take(std::vector<AckToken>& tokens, SessionDeltas& sessions);

private:
    struct Slot {
        BatchBuilder batch;
        std::size_t warm_bytes = 0;
        bool touched = false;
    };

    [[nodiscard]] std::size_t change_bytes(const SessionChange& change) const;
    void cool_down();

    GroupLimits limits_;
    std::vector<Slot> slots_;  // by partition
    std::vector<PartitionId> touched_;
    SessionDeltas sessions_;
    std::vector<AckToken> tokens_;
    std::size_t bytes_ = 0;
    std::size_t warm_bytes_ = 0;
    std::uint64_t records_ = 0;
    std::uint64_t record_bytes_ = 0;
};

}  // namespace milepost::storage
