#include "storage/base/check.hpp"
#include "storage/journal/errc.hpp"
#include "storage/journal/frame.hpp"
#include "storage/journal/ring_header.hpp"
#include "storage/log/adopt.hpp"
#include "storage/log/disk_log.hpp"
#include "storage/log/errc.hpp"
#include "storage/log/recovery.hpp"
#include "storage/log/recovery_table.hpp"
#include "storage/log/segment_name.hpp"
#include "storage/log/set_aside.hpp"

#include <algorithm>
#include <cstdio>
#include <random>
#include <utility>

#include <unistd.h>

namespace milepost::storage {

namespace {

std::uint64_t random_number() {
    std::random_device device;
    return (std::uint64_t{device()} << 32U) | device();
}

std::uint64_t memory_bytes() {
    const long pages = ::sysconf(_SC_PHYS_PAGES);
    const long page_bytes = ::sysconf(_SC_PAGESIZE);
    if (pages <= 0 || page_bytes <= 0) return gib;
    return static_cast<std::uint64_t>(pages) * static_cast<std::uint64_t>(page_bytes);
}

std::string hex(std::uint64_t number) {
    std::array<char, 17> text{};
    (void)std::snprintf(text.data(), text.size(), "%016lx", number);
    return text.data();
}

std::filesystem::path journal_folder(const LogConfig& config) {
    return config.data_dir / "journal";
}

// The next start removes older rings; this one may be of use to somebody.
Result<std::filesystem::path> set_unreadable_aside(
    FileSystem& files,
    const std::filesystem::path& folder,
    std::uint32_t generation
) {
    const auto ring = ring_path(folder, generation);
    auto beside = name_beside(files, ring);
    if (!beside) return beside.error();
    MILEPOST_TRY(files.rename(ring, *beside));
    return beside;
}

// Has no posts, no listener and no keeper to speak to.
class NobodyListens final : public GroupListener {
public:
    void on_durable(std::span<const AckToken> /*tokens*/) override {}

    void on_intake(IntakeState /*state*/) override {}
};

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

Result<void> DiskLog::open_journal(RecoveryReport& report) {
    FileSystem& files = wiring_.files;
    MILEPOST_TRY(files.make_directory(journal_folder(config_)));
    const auto generations = ring_generations(files, journal_folder(config_));
    if (!generations) return generations.error();
    const auto segments = look_for_segments(files, config_.data_dir);
    if (!segments) return segments.error();

    JournalState state = JournalState::missing;
    std::uint32_t generation = 0;
    if (!generations->empty()) {
        generation = generations->back();
        auto ring = Ring::open(files, journal_folder(config_), generation);
        if (ring) {
            ring_ = std::move(*ring);
            state = JournalState::there;
            std::string ids;
            const auto checked = check_rings(files, journal_folder(config_), ring_->header(), ids);
            if (!checked) {
                report.notes.push_back("journal: " + ids);
                return checked;
            }
            report.is_from_elsewhere = is_from_elsewhere(ring_->header(), config_.machine_id_hash);
        } else if (ring.error() == JournalErrc::header_damaged) {
            state = JournalState::unreadable;
            const auto kept = set_unreadable_aside(files, journal_folder(config_), generation);
            if (!kept) return kept.error();
            report.notes.push_back(
                "journal: no header of it can be read: it is kept as " + kept->filename().string()
            );
        } else {
            return ring.error();
        }
    }
    switch (decide_folder(state, *segments == SegmentsThere::some)) {
        case FolderDecision::make: return make_journal(generation + 1, false, report);
        case FolderDecision::make_behind_segments:
            return make_journal(generation + 1, true, report);
        case FolderDecision::go_on: break;
    }
    log_id_ = hex(ring_->header().log_id);
    MILEPOST_TRY(sync_names());
    // Left from a crash while a ring was replaced. The next start tries again.
    (void)Ring::remove_older(files, journal_folder(config_), generation).has_error();
    const Replay& replayed = ring_->replayed();
    return recover(
        {.files = files,
         .data_dir = config_.data_dir,
         .slot = replayed.slot,
         .frames = replayed.frames,
         .holes = replayed.holes,
         .lost = replayed.lost},
        partitions_,
        readers_,
        report
    );
}

Result<void> DiskLog::make_journal(
    std::uint32_t generation,
    bool behind_segments,
    RecoveryReport& report
) {
    MILEPOST_TRY(recover(
        {.files = wiring_.files,
         .data_dir = config_.data_dir,
         .slot = std::nullopt,
         .frames = {},
         .holes = {},
         .lost = {}},
        partitions_,
        readers_,
        report
    ));
    report.created = !behind_segments;
    if (behind_segments) report.notes.emplace_back("journal: made behind the segments");
    const RingHeader header{
        .log_id = random_number(),
        .ring_key = make_ring_key(),
        .generation = generation,
        .ring_bytes = config_.ring_bytes,
        .machine_id_hash = config_.machine_id_hash};
    Checkpoint first;
    first.wall = wall_now();
    first.partitions = describe(partitions_);
    auto ring = Ring::create(wiring_.files, journal_folder(config_), header, std::move(first));
    if (!ring) return ring.error();
    ring_ = std::move(*ring);
    log_id_ = hex(header.log_id);
    return sync_names();
}

// Makes the names durable that lead to the journal and to the partitions. An earlier process may
// have made them and been killed before it synced them.
Result<void> DiskLog::sync_names() {
    MILEPOST_TRY(wiring_.files.sync_directory(journal_folder(config_)));
    MILEPOST_TRY(wiring_.files.sync_directory(config_.data_dir));
    // The folder itself may be new. Above a folder that somebody made for us nothing may be open to
    // us; then it is theirs to keep.
    auto parent = config_.data_dir.parent_path();
    if (parent.empty()) parent = ".";
    auto synced = wiring_.files.sync_directory(parent);
    if (!synced && synced.error() == boost::system::errc::permission_denied) return {};
    return synced;
}

Result<void> DiskLog::read_journal(RecoveryReport& report) {
    FileSystem& files = wiring_.files;
    const auto generations = ring_generations(files, journal_folder(config_));
    std::optional<Slot> no_slot;
    if (generations && !generations->empty()) {
        auto file =
            files.open(ring_path(journal_folder(config_), generations->back()), OpenMode::read);
        if (!file) return file.error();
        auto replayed = replay_ring(**file);
        if (replayed) {
            replay_.emplace(std::move(*replayed));
            log_id_ = hex(replay_->header.log_id);
        } else if (replayed.error() != JournalErrc::header_damaged) {
            return replayed.error();
        }
    }
    const auto segments = look_for_segments(files, config_.data_dir);
    if (!segments || (!replay_ && *segments == SegmentsThere::none)) return LogErrc::not_a_log;
    if (!replay_) report.notes.emplace_back("journal: there is none that can be read");
    RecoveryInput input{
        .files = files,
        .data_dir = config_.data_dir,
        .slot = replay_ ? replay_->slot : no_slot,
        .frames = {},
        .holes = {},
        .lost = {},
        .read_only = true};
    if (replay_) {
        input.frames = replay_->frames;
        input.holes = replay_->holes;
        input.lost = replay_->lost;
    }
    return recover(input, partitions_, readers_, report);
}

// On a full disk the Keeper can take nothing in. Nothing is lost by that: gaps are entered at a
// later step, session deltas are folded by the next checkpoint, and keep their frames until then.
void DiskLog::tell_keeper(RecoveryReport& report) {
    for (const Gap& gap : report.gaps) {
        if (!wiring_.keeper.record(gap)) noticed_gaps_.push_back(gap);
    }
    report.sessions_folded = report.sessions.empty() || wiring_.keeper.fold(report.sessions);
    if (report.sessions_folded) return;
    unfolded_sessions_ = report.sessions;
    report.notes.emplace_back("sessions of the journal cannot be saved now: they will be");
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
        .stats = stats_});
    renewal_.emplace(RingRenewal::Parts{
        .files = wiring_.files,
        .journal_folder = journal_folder(config_),
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
    retainer_->finish(*recorded);
    space_low_ = retainer_->bytes_needed() > 0;
    intake_ = work_out_intake();
    if (!config_.background) return {};
    if (config_.committer != CommitterThread::always_inline) {
        commit_thread_ = std::make_unique<CommitThread>([this] {
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
