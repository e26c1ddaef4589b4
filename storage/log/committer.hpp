#pragma once

#include "storage/base/ack_token.hpp"
#include "storage/base/result.hpp"
#include "storage/base/time.hpp"
#include "storage/journal/ring.hpp"
#include "storage/log/commit_group.hpp"
#include "storage/log/log.hpp"
#include "storage/log/partition_set.hpp"
#include "storage/log/session_deltas.hpp"
#include "storage/log/sync_time.hpp"
#include "storage/log/tail.hpp"

#include <cstdint>
#include <mutex>
#include <optional>
#include <span>
#include <utility>
#include <vector>

namespace milepost::storage {

// The log's one writer: group -> frame -> sync -> durable. One group at a time: seal(), then
// write(), then the tokens go back. Knows no MQTT.
// Threads: seal() and write() from one at a time, which may change between them; the checkpointer's
// part at any time.
class Committer {
public:
    // All outlive the committer, the ring until move_to().
    Committer(Ring& ring, PartitionSet& partitions, LogStats& stats)
        : ring_(&ring)
        , partitions_(partitions)
        , stats_(stats)
        , durable_sequence_(ring.next_sequence()) {}

    // Moves the group into a frame in the ring's mirror, with which it is empty and fills again.
    // False: the ring has no room, the group is as before.
    [[nodiscard]] bool seal(CommitGroup& group);

    // Writes and syncs the sealed frame. When this returns well, its records are durable and seen
    // by readers. After an error nothing of the group may be acknowledged: it stays sealed, until
    // it is written into another ring.
    Result<void> write();

    // Whether a group is sealed and not durable.
    [[nodiscard]] bool has_sealed() const { return frame_.has_value(); }

    // Goes on in a ring that is empty and gives the same frame number next; a sealed group moves
    // there as it is. The caller owns the committer at the moment. `ring` outlives the committer.
    void move_to(Ring& ring);

    // The tokens of the group that was sealed last, until the next seal().
    [[nodiscard]] std::span<const AckToken> tokens() const { return tokens_; }

    // Takes them out, for who begins the next group before they have gone back: none is left.
    void take_tokens(std::vector<AckToken>& tokens) {
        tokens.clear();
        tokens_.swap(tokens);
    }

    // What a commit takes lately, smoothed.
    [[nodiscard]] Duration sync_time() const { return sync_time_.value(); }

    // --- the checkpointer ---

    // Frames below the number returned are durable, their records in the tails. Their session
    // deltas go to the caller, behind those that it has, and are then nowhere else in memory.
    [[nodiscard]] std::uint64_t reached(SessionDeltas& sessions);

    [[nodiscard]] std::uint64_t durable_sequence() const {
        const std::lock_guard guard{mutex_};
        return durable_sequence_;
    }

    // From recovery, and not in the Keeper yet: before the first group.
    void restore_sessions(const std::vector<SessionDelta>& sessions) {
        for (const SessionDelta& delta : sessions)
            durable_sessions_.add(delta.client_id, delta.state);
    }

private:
    // A batch of the sealed frame.
    struct Part {
        PartitionId partition;
        TailEntry entry;
    };

    [[nodiscard]] std::size_t payload_bytes(CommitGroup& group) const;
    void note_time(Duration took);
    void publish();

    Ring* ring_;
    PartitionSet& partitions_;
    LogStats& stats_;

    std::optional<FrameSlot> frame_;
    std::vector<Part> parts_;
    std::vector<AckToken> tokens_;
    SessionDeltas sessions_;
    std::uint64_t records_ = 0;
    std::uint64_t record_bytes_ = 0;
    SyncTime sync_time_;

    mutable std::mutex mutex_;  // guards what follows
    std::uint64_t durable_sequence_;
    SessionDeltas durable_sessions_;
};

}  // namespace milepost::storage
