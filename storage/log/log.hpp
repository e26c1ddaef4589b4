#pragma once

#include "storage/base/ack_token.hpp"
#include "storage/base/bytes.hpp"
#include "storage/base/result.hpp"
#include "storage/base/stats.hpp"
#include "storage/base/time.hpp"
#include "storage/format/offsets.hpp"
#include "storage/fs/file_system.hpp"
#include "storage/log/appender.hpp"
#include "storage/log/keeper.hpp"
#include "storage/log/log_config.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace milepost::storage {

// Where a partition stands. Always start <= forwarded <= durable <= appended.
struct Positions {
    Offset start;
    Offset forwarded;
    Offset durable;
    Offset appended;
};

// What recovery found and did; `app` logs it, verify prints it.
struct RecoveryReport {
    std::string log_id;  // 16 hex digits
    bool created = false;
    // The folder was made on another machine: nothing may be forwarded before adopt_log().
    bool is_from_elsewhere = false;
    std::uint64_t frames = 0;
    std::uint64_t records_from_journal = 0;
    std::uint64_t segment_bytes_cut = 0;
    std::uint64_t bytes_scanned = 0;
    std::vector<Gap> gaps;
    std::vector<SessionDelta> sessions;  // newer than what the Keeper had
    bool sessions_folded = false;    // the Keeper has them now; not read only, nor on a full disk
    std::vector<std::string> notes;  // one line each: unknown files, rebuilt indexes, …
    Duration took{};
};

struct LogStats {
    Counter groups;
    Counter records;
    Counter record_bytes;   // keys, values and headers as appended
    Counter journal_bytes;  // frames, in whole blocks
    Counter segment_bytes;
    Counter checkpoints;
    Counter ring_generations;  // rings that were made because the one before had failed
    Histogram sync_micros;     // write + sync of one frame
    Histogram records_per_group;
    Gauge ring_used_bytes;
    Gauge log_bytes;                // segments and ring on the disk
    Gauge commit_pending_since_ms;  // monotonic ms since which a commit waits for the disk; 0: none
                                    // does
    Gauge checkpoint_since_ms;      // monotonic ms since which a checkpoint runs; 0: none does
};

// What happened to groups; called by the thread that owns the open group (see Log::open).
class GroupListener {
public:
    GroupListener() = default;
    GroupListener(const GroupListener&) = delete;
    GroupListener& operator=(const GroupListener&) = delete;
    virtual ~GroupListener() = default;

    // The group is on the disk; its tokens in the order of the appends. The one place acks come
    // from.
    virtual void on_durable(std::span<const AckToken> tokens) = 0;
    // intake() changed.
    virtual void on_intake(IntakeState state) = 0;

    // The journal's ring failed with `why`; another one has taken its place, nothing is lost.
    virtual void on_new_ring(const ErrorCode& why) { (void)why; }
};

// For who opens a log to bring it level or to repair it.
class NobodyListens final : public GroupListener {
public:
    void on_durable(std::span<const AckToken> /*tokens*/) override {}

    void on_intake(IntakeState /*state*/) override {}
};

// One read: whole batches, contiguous from the asked offset on, at most about the asked bytes.
struct ReadResult {
    Offset first;   // the first offset the batches begin with: <= the asked one, or behind a hole
    Offset next;    // read here next
    Bytes batches;  // whole record batches v2, one after the other; in the caller's buffer
};

// The log: all topics. Opens or makes a data folder, takes records in groups, makes them durable in
// the journal, writes segments behind it, and serves readers what is durable.
// Threads: reading, positions, set_forwarded, stats, intake, intake_reason: any. The rest of
// Appender and commit(): the one owner.
class Log : public Appender {
public:
    // `post` runs a function on the owner's thread soon (used when commits run on a thread of their
    // own); it must stay valid until close() returned.
    struct Wiring {
        FileSystem& files;
        Keeper& keeper;
        GroupListener& listener;
        std::function<void(std::function<void()>)> post;
    };

    static Result<std::unique_ptr<Log>> open(
        LogConfig config,
        Wiring wiring,
        RecoveryReport& report
    );
    // For the tool and verify: takes the lock, replays in memory, writes nothing.
    static Result<std::unique_ptr<Log>> open_read_only(
        std::filesystem::path data_dir,
        FileSystem& files,
        RecoveryReport& report
    );

    // Makes the topic's partitions, or finds them; the number that was made first stays.
    virtual Result<std::vector<PartitionId>> ensure_topic(
        std::string_view topic,
        std::int32_t partitions
    ) = 0;
    [[nodiscard]] virtual std::vector<PartitionId> partitions() const = 0;
    [[nodiscard]] virtual const TopicPartition& name(PartitionId partition) const = 0;
    [[nodiscard]] virtual std::optional<PartitionId> find(const TopicPartition& name) const = 0;

    // Closes the open group, if it holds anything, and makes it durable: here and now where syncs
    // are fast (on_durable is called before this returns), else on the committer's thread.
    virtual void commit() = 0;
    // While a group is on its way to the disk on the committer's thread: what a commit takes
    // lately. Up to and with its on_durable; commit() only asks then.
    [[nodiscard]] virtual std::optional<Duration> flight() const = 0;
    // Who commits no earlier than this takes part in keeping the ring from filling up (RingPace);
    // who does is not wrong.
    [[nodiscard]] virtual Instant paced_until() const = 0;

    [[nodiscard]] virtual Positions positions(PartitionId partition) const = 0;
    // Moves forwarded up (never down, never over durable).
    virtual void set_forwarded(PartitionId partition, Offset forwarded) = 0;
    // Durable batches that hold offset `from` and what follows, into `buffer` (its memory is
    // reused). Empty `batches` when from == durable, or when only a hole is left before
    // durable (then next == durable). LogErrc::offset_out_of_range below start or over
    // durable.
    virtual Result<ReadResult> read(
        PartitionId partition,
        Offset from,
        std::size_t bytes_max,
        Buffer& buffer
    ) = 0;
    // The first offset whose record's timestamp is >= `timestamp`; durable if there is none.
    virtual Result<Offset> find_timestamp(PartitionId partition, Timestamp timestamp) = 0;
    // Called, from the thread that made a group durable, after durable moved. Must be quick.
    virtual void set_durable_notice(std::function<void()> notice) = 0;

    [[nodiscard]] virtual const LogStats& stats() const = 0;
    [[nodiscard]] virtual const LogConfig& config() const = 0;  // as worked out
    [[nodiscard]] virtual std::string_view log_id() const = 0;
    // Why intake() is not open, for people; empty when it is.
    [[nodiscard]] virtual std::string intake_reason() const = 0;

    // Commits what is open, checkpoints so that the segments hold everything, releases the lock.
    virtual Result<void> close() = 0;
};

}  // namespace milepost::storage
