#include "storage/journal/frame.hpp"
#include "storage/log/disk_log.hpp"
#include "storage/log/errc.hpp"
#include "storage/log/segment_name.hpp"

#include <algorithm>
#include <utility>

#include <unistd.h>

namespace milepost::storage {

namespace {

std::uint64_t memory_bytes() {
    const long pages = ::sysconf(_SC_PHYS_PAGES);
    const long page_bytes = ::sysconf(_SC_PAGESIZE);
    if (pages <= 0 || page_bytes <= 0) return gib;
    return static_cast<std::uint64_t>(pages) * static_cast<std::uint64_t>(page_bytes);
}

// Has no posts and no keeper to speak to.
class NobodyKeeps final : public Keeper {
public:
    Result<void> fold(std::span<const SessionDelta> /*deltas*/) override { return {}; }

    Result<void> record(const Gap& /*gap*/) override { return {}; }
};

}  // namespace

Result<std::unique_ptr<Log>> Log::open(LogConfig config, Wiring wiring, RecoveryReport& report) {
    auto log = DiskLog::open_for_writing(std::move(config), std::move(wiring), report);
    if (!log) return log.error();
    return std::unique_ptr<Log>{std::move(*log)};
}

Result<std::unique_ptr<Log>> Log::open_read_only(
    std::filesystem::path data_dir,
    FileSystem& files,
    RecoveryReport& report
) {
    auto log = DiskLog::open_for_reading(std::move(data_dir), files, report);
    if (!log) return log.error();
    return std::unique_ptr<Log>{std::move(*log)};
}

Result<std::unique_ptr<DiskLog>> DiskLog::open_for_writing(
    LogConfig config,
    Wiring wiring,
    RecoveryReport& report
) {
    const Instant begin = monotonic_now();
    FileSystem& files = wiring.files;
    MILEPOST_TRY(files.make_directory(config.data_dir));
    const auto space = files.space(config.data_dir);
    if (!space) return space.error();
    auto sized = work_out(
        std::move(config),
        {.memory_bytes = memory_bytes(), .disk_bytes = space->capacity_bytes}
    );
    if (!sized) return sized.error();

    std::unique_ptr<DiskLog> log{new DiskLog{std::move(*sized), std::move(wiring)}};
    auto lock = files.lock(log->config_.data_dir / "lock");
    if (!lock) {
        const bool taken = lock.error() == boost::system::errc::operation_would_block;
        return taken ? make_error_code(LogErrc::folder_in_use) : lock.error();
    }
    log->lock_ = std::move(*lock);
    MILEPOST_TRY(log->open_journal(report));
    log->settle_sizes();
    log->take_over_partitions();
    log->tell_keeper(report);
    MILEPOST_TRY(log->start_work(report));
    report.log_id = log->log_id_;
    report.took = monotonic_now() - begin;
    return log;
}

Result<std::unique_ptr<DiskLog>> DiskLog::open_for_reading(
    std::filesystem::path data_dir,
    FileSystem& files,
    RecoveryReport& report
) {
    static NobodyListens listener;
    static NobodyKeeps keeper;
    const Instant begin = monotonic_now();
    LogConfig config;
    config.data_dir = std::move(data_dir);
    std::unique_ptr<DiskLog> log{new DiskLog{
        std::move(config),
        Wiring{.files = files, .keeper = keeper, .listener = listener, .post = {}}}};
    log->is_read_only_ = true;
    log->intake_ = IntakeState::closed;
    auto lock = files.lock(log->config_.data_dir / "lock");
    if (lock) {
        log->lock_ = std::move(*lock);
    } else if (lock.error() == boost::system::errc::operation_would_block) {
        return LogErrc::folder_in_use;
    }  // else a folder that cannot be locked because it cannot be written: nobody writes there
    MILEPOST_TRY(log->read_journal(report));
    log->take_over_partitions();
    report.log_id = log->log_id_;
    report.took = monotonic_now() - begin;
    return log;
}

// A ring that is there keeps its size, and the rest follows it.
void DiskLog::settle_sizes() {
    config_.ring_bytes = ring_->capacity_bytes();
    config_.group_bytes = std::min<std::uint64_t>(config_.group_bytes, config_.ring_bytes / 4);
    config_.record_bytes = std::min<std::uint64_t>(config_.record_bytes, config_.ring_bytes / 8);
    group_ = CommitGroup{GroupLimits{
        .group_bytes = config_.group_bytes - frame_header_bytes,
        .record_bytes = config_.record_bytes,
        .part_overhead_bytes = records_section_bytes(topic_bytes_max, 0)}};
}

// A topic whose partitions hold nothing yet may have been made in part: it is made again.
void DiskLog::take_over_partitions() {
    std::map<std::string, std::int32_t, std::less<>> counts;
    for (const PartitionId id : partitions_.ids()) {
        const TopicPartition& name = partitions_[id].name();
        std::int32_t& count = counts[name.topic];
        count = std::max(count, name.partition + 1);
        if (partitions_[id].positions().appended > Offset{0}) topics_[name.topic] = 0;
    }
    for (auto& [topic, count] : topics_) {
        count = counts[topic];
    }
    group_.make_room(partitions_.size());
}

Result<void> DiskLog::start_work(RecoveryReport& report) {
    committer_.emplace(*ring_, partitions_, stats_);
    committer_->restore_sessions(unfolded_sessions_);
    unfolded_sessions_.clear();
    checkpointer_.emplace(Checkpointer::Parts{
        .files = wiring_.files,
        .ring = ring_.get(),
        .committer = *committer_,
        .partitions = partitions_,
        .keeper = wiring_.keeper,
        .config = config_,
        .stats = stats_,
        .pace = pace_});
    renewal_.emplace(RingRenewal::Parts{
        .files = wiring_.files,
        .journal_folder = config_.data_dir / journal_folder_name,
        .ring = ring_,
        .committer = *committer_,
        .checkpointer = *checkpointer_,
        .stats = stats_,
        .write_group =
            [this] {
                write_group();
                return written_;
            },
        .pause = config_.renewal_pause});
    // A new ring has none.
    const std::optional<Slot> slot = ring_->replayed().slot;
    if (ring_->poisoned()) {
        // Nobody has seen anything yet, and nobody does before it is durable.
        report.notes.push_back(
            "journal: its ring cannot be made durable (" + ring_->poison_error().message() +
            "): it goes on in a new one"
        );
        (void)renewal_->run_if_due(renewal_->ask(monotonic_now()));
        if (const auto outcome = renewal_->take_outcome(); *outcome) return *outcome;
    }
    retainer_.emplace(
        Retainer::Parts{
            .files = wiring_.files,
            .partitions = partitions_,
            .checkpointer = *checkpointer_,
            .readers = readers_,
            .keeper = wiring_.keeper,
            .config = config_,
            .stats = stats_},
        slot ? ClockReading{slot->checkpoint.wall, slot->checkpoint.monotonic_ms} : read_clock()
    );
    const auto recorded = wiring_.keeper.gaps();
    if (!recorded) return recorded.error();
    retainer_->finish(*recorded, log_id_);
    space_low_ = look_at_space();
    intake_ = work_out_intake();
    if (!config_.background) return {};
    if (config_.committer != CommitterThread::always_inline) {
        commit_thread_ = std::make_unique<CommitThread>(config_.real_time, [this] {
            write_group();
            post(&DiskLog::flight_landed);
        });
    }
    checkpoint_thread_ = std::make_unique<CheckpointThread>(
        *checkpointer_,
        CheckpointThread::Rules{
            .age_max = config_.checkpoint_age_max,
            .checkpoints = config_.checkpoints},
        [this] { after_checkpoint_step(); }
    );
    if (ring_->used_bytes() > ring_->capacity_bytes() / 2) checkpoint_thread_->kick();
    return {};
}

}  // namespace milepost::storage
