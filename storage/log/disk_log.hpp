#pragma once

#include "storage/base/result.hpp"
#include "storage/fs/file_system.hpp"
#include "storage/journal/replay.hpp"
#include "storage/journal/ring.hpp"
#include "storage/log/checkpoint_thread.hpp"
#include "storage/log/checkpointer.hpp"
#include "storage/log/commit_group.hpp"
#include "storage/log/commit_thread.hpp"
#include "storage/log/committer.hpp"
#include "storage/log/log.hpp"
#include "storage/log/partition_set.hpp"
#include "storage/log/reader_cache.hpp"
#include "storage/log/retainer.hpp"
#include "storage/log/ring_renewal.hpp"

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace milepost::storage {

// The log, put together: the open group, who commits it, the intake's state; all on one thread.
class DiskLog final : public Log {
public:
    static Result<std::unique_ptr<DiskLog>> open_for_writing(
        LogConfig config,
        Wiring wiring,
        RecoveryReport& report
    );
    static Result<std::unique_ptr<DiskLog>> open_for_reading(
        std::filesystem::path data_dir,
        FileSystem& files,
        RecoveryReport& report
    );
    DiskLog(const DiskLog&) = delete;
    DiskLog& operator=(const DiskLog&) = delete;
    ~DiskLog() override;

    using Log::append;
    Result<Offset> append(
        PartitionId partition,
        const RecordView& record,
        std::optional<AckToken> token,
        const SessionChange& change
    ) override;
    Result<void> append_change(const SessionChange& change, std::optional<AckToken> token) override;
    Result<void> append_session(
        std::string_view client_id,
        Bytes state,
        std::optional<AckToken> token
    ) override;

    void append_token(AckToken token) override { group_.add_token(token); }

    [[nodiscard]] IntakeState intake() const override { return intake_.load(); }

    [[nodiscard]] std::size_t open_group_bytes() const override { return group_.bytes(); }

    Result<std::vector<PartitionId>> ensure_topic(std::string_view topic, std::int32_t partitions)
        override;

    [[nodiscard]] std::vector<PartitionId> partitions() const override { return partitions_.ids(); }

    [[nodiscard]] const TopicPartition& name(PartitionId partition) const override {
        return partitions_[partition].name();
    }

    [[nodiscard]] std::optional<PartitionId> find(const TopicPartition& name) const override {
        return partitions_.find(name);
    }

    void commit() override;
    [[nodiscard]] std::optional<Duration> flight() const override;

    [[nodiscard]] Instant paced_until() const override { return pace_.next(); }

    [[nodiscard]] Positions positions(PartitionId partition) const override {
        return partitions_[partition].positions();
    }

    void set_forwarded(PartitionId partition, Offset forwarded) override {
        partitions_[partition].set_forwarded(forwarded);
        // Room can be made now.
        if (space_low_.load(std::memory_order_relaxed) && checkpoint_thread_) {
            checkpoint_thread_->kick();
        }
    }

    Result<ReadResult> read(
        PartitionId partition,
        Offset from,
        std::size_t bytes_max,
        Buffer& buffer
    ) override;
    Result<Offset> find_timestamp(PartitionId partition, Timestamp timestamp) override;
    void set_durable_notice(std::function<void()> notice) override;

    [[nodiscard]] const LogStats& stats() const override { return stats_; }

    [[nodiscard]] const LogConfig& config() const override { return config_; }

    [[nodiscard]] std::string_view log_id() const override { return log_id_; }

    [[nodiscard]] std::string intake_reason() const override;
    Result<void> close() override;

    // One checkpoint here and now. Thread: any; for tests, and for whoever wants to hurry.
    Result<void> checkpoint_now();
    // Retention here and now. Thread: as above.
    Result<void> retain_now(const ClockReading& now = read_clock());

private:
    // What a function that was posted holds of the log, which may be gone when it runs.
    struct Link {
        DiskLog* log;
    };

    DiskLog(LogConfig config, Wiring wiring);

    // Opening; disk_log_journal.cpp from open_journal() to tell_keeper().
    Result<void> open_journal(RecoveryReport& report);
    Result<void> make_journal(
        std::uint32_t generation,
        bool behind_segments,
        RecoveryReport& report
    );
    void serve_in_ledger(LogOrigin origin, RecoveryReport& report);
    Result<void> sync_names();
    Result<void> read_journal(RecoveryReport& report);
    void tell_keeper(RecoveryReport& report);
    void settle_sizes();
    void take_over_partitions();
    Result<void> start_work(RecoveryReport& report);

    // Committing: on the owner's thread, but for write_group().
    void drive();
    [[nodiscard]] bool takes_records_of(PartitionId partition) const;
    [[nodiscard]] bool look_at_space();
    [[nodiscard]] bool seal_group();
    [[nodiscard]] bool disk_is_slow();
    void give_back_bare_tokens();
    void write_group();
    void group_written();
    void give_back(std::span<const AckToken> tokens);
    void flight_landed();
    [[nodiscard]] bool begin_asked_flight();
    void wait_for_flight();
    void post(void (DiskLog::*function)());
    void refresh_intake();
    // disk_log_renewal.cpp: a new ring in place of one that failed.
    void begin_renewal(ErrorCode why);
    void renew_here();
    void fail_intake(ErrorCode why);
    void renewal_landed();
    void journal_failed();
    void end_renewal();
    void retry_after_full();
    [[nodiscard]] IntakeState work_out_intake() const;

    // On the checkpointer's thread.
    void after_checkpoint_step();
    void enter_noticed_gaps();

    LogConfig config_;
    Wiring wiring_;
    LogStats stats_;
    std::string log_id_;
    std::shared_ptr<Link> link_;
    std::unique_ptr<FolderLock> lock_;
    ReadPacer read_pacer_{stats_.groups, stats_.commit_pending_since_ms};
    ReaderCache readers_;
    PartitionSet partitions_;
    std::map<std::string, std::int32_t, std::less<>> topics_;  // partitions of each; the owner's
    std::optional<Replay> replay_;                             // read only: its mirror
    std::unique_ptr<Ring> ring_;
    std::optional<Committer> committer_;
    RingPace pace_;
    std::optional<Checkpointer> checkpointer_;
    std::optional<RingRenewal> renewal_;
    std::optional<Retainer> retainer_;

    // The owner's.
    CommitGroup group_;
    std::atomic<IntakeState> intake_{IntakeState::open};
    bool closed_ = false;
    bool commit_asked_ = false;
    bool driving_ = false;    // inside drive(): a commit() from a callback only asks
    bool in_flight_ = false;  // a group is with the commit thread
    bool slow_disk_ = false;
    bool is_read_only_ = false;
    std::vector<AckToken> bare_tokens_;
    std::vector<AckToken> landed_tokens_;
    ErrorCode written_;         // of the group that was written last
    bool renewing_ = false;     // the ring and the committer are the renewal's
    bool group_waits_ = false;  // for the renewal
    ErrorCode ring_error_;      // why
    ErrorCode sync_error_;      // of the renewal that failed last: nothing is taken in

    std::atomic<bool> ring_full_{false};
    std::atomic<bool> space_low_{false};
    std::atomic<bool> takes_letters_{true};  // while the space is low
    mutable std::mutex mutex_;               // guards what follows
    std::function<void()> notice_;
    std::string sync_reason_;
    std::vector<Gap> noticed_gaps_;                // by readers, for the checkpointer to enter
    std::vector<SessionDelta> unfolded_sessions_;  // of recovery, for the committer

    std::unique_ptr<CommitThread> commit_thread_;
    std::unique_ptr<CheckpointThread> checkpoint_thread_;
};

}  // namespace milepost::storage
