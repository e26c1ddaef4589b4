// Opening, the journal's part: found, made or only read, and what it says put into the partitions.
#include "storage/journal/errc.hpp"
#include "storage/log/adopt.hpp"
#include "storage/log/disk_log.hpp"
#include "storage/log/errc.hpp"
#include "storage/log/recovery.hpp"
#include "storage/log/recovery_table.hpp"
#include "storage/log/segment_name.hpp"
#include "storage/log/set_aside.hpp"

#include <string>
#include <utility>
#include <vector>

namespace milepost::storage {

namespace {

std::filesystem::path journal_folder(const LogConfig& config) {
    return config.data_dir / journal_folder_name;
}

Result<std::string> set_ring_aside(
    FileSystem& files,
    const std::filesystem::path& folder,
    std::uint32_t generation
) {
    const auto ring = ring_path(folder, generation);
    auto beside = name_beside(files, ring);
    if (!beside) return beside.error();
    MILEPOST_TRY(files.rename(ring, *beside));
    return beside->filename().string();
}

// The newest ring cannot be read. It may be of use to somebody; so may an older one, which nobody
// can say the log of: it must not lie beside the ring of a new log. The older ones go first, for
// good: without the newest they would be taken for the journal.
Result<void> set_rings_aside(
    FileSystem& files,
    const std::filesystem::path& folder,
    const std::vector<std::uint32_t>& generations,
    std::vector<std::string>& notes
) {
    for (const std::uint32_t generation : generations) {
        const bool is_newest = generation == generations.back();
        if (is_newest && generations.size() > 1) MILEPOST_TRY(files.sync_directory(folder));
        const auto kept = set_ring_aside(files, folder, generation);
        if (!kept) return kept.error();
        notes.push_back(
            (is_newest ? "journal: no header of it can be read: it is kept as "
                       : "journal: an older ring is kept as ") +
            *kept
        );
    }
    return {};
}

}  // namespace

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
            MILEPOST_TRY(set_rings_aside(files, journal_folder(config_), *generations, report.notes)
            );
        } else {
            return ring.error();
        }
    }
    // A ring that an earlier start began to make, of whatever generation: it takes the space of the
    // next.
    if (state != JournalState::there) {
        (void)Ring::remove_older(files, journal_folder(config_), 0).has_error();
    }
    switch (decide_folder(state, *segments == SegmentsThere::some)) {
        case FolderDecision::make: return make_journal(generation + 1, false, report);
        case FolderDecision::make_behind_segments:
            return make_journal(generation + 1, true, report);
        case FolderDecision::go_on: break;
    }
    log_id_ = log_id_text(ring_->header().log_id);
    MILEPOST_TRY(sync_names());
    // Left from a crash while a ring was replaced. The next start tries again.
    (void)Ring::remove_older(files, journal_folder(config_), generation).has_error();
    const Replay& replayed = ring_->replayed();
    MILEPOST_TRY(recover(
        {.files = files,
         .data_dir = config_.data_dir,
         .slot = replayed.slot,
         .frames = replayed.frames,
         .holes = replayed.holes,
         .lost = replayed.lost},
        partitions_,
        readers_,
        report
    ));
    serve_in_ledger(LogOrigin::found, report);
    return {};
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
        .log_id = make_log_id(),
        .ring_key = make_ring_key(),
        .generation = generation,
        .ring_bytes = config_.ring_bytes,
        .machine_id_hash = config_.machine_id_hash};
    Checkpoint first;
    first.wall = wall_now();
    first.partitions = describe(partitions_);
    log_id_ = log_id_text(header.log_id);
    serve_in_ledger(behind_segments ? LogOrigin::made_behind_segments : LogOrigin::made, report);
    auto ring = Ring::create(wiring_.files, journal_folder(config_), header, std::move(first));
    if (!ring) return ring.error();
    ring_ = std::move(*ring);
    return sync_names();
}

// A removal that the ledger has may have been entered for nothing: nothing of it is gone then, and
// what is in front of `start` says how far it came.
void DiskLog::serve_in_ledger(LogOrigin origin, RecoveryReport& report) {
    const auto reach = [this](const Gap& gap) {
        const auto id = partitions_.find(gap.partition);
        if (!id) return Offset{0};
        const Positions positions = partitions_[*id].positions();
        return is_of_retention(gap.reason) ? positions.start : positions.durable;
    };
    if (wiring_.keeper.serve({.id = log_id_, .origin = origin, .reach = reach})) return;
    report.notes.emplace_back("meta.db: older entries of the gap ledger cannot be taken over now");
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
            log_id_ = log_id_text(replay_->header.log_id);
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

}  // namespace milepost::storage
