#include "storage/log/repair.hpp"

#include "storage/base/units.hpp"
#include "storage/journal/errc.hpp"
#include "storage/journal/replay.hpp"
#include "storage/journal/ring_header.hpp"
#include "storage/log/known_holes.hpp"
#include "storage/log/segment_name.hpp"
#include "storage/log/set_aside.hpp"
#include "storage/log/verify.hpp"

#include <algorithm>
#include <map>
#include <utility>

namespace milepost::storage {

namespace {

// Indexes, the ledger, directory blocks.
constexpr std::uint64_t slack_bytes = 1 * mib;
constexpr std::string_view reason_rot = "rot";
constexpr std::string_view reason_missing = "missing";

std::string text(const OffsetRange& range) {
    return "offsets " + std::to_string(range.first.value()) + " to " +
           std::to_string(range.end.value() - 1);
}

class Planner {
public:
    Planner(FileSystem& files, const std::filesystem::path& data_dir, const RepairOptions& options)
        : files_(files)
        , known_gaps_(options.known_gaps) {
        plan_.data_dir = data_dir;
        plan_.options = options;
    }

    Result<RepairPlan> run(std::unique_ptr<FolderLock> lock) {
        plan_.lock = std::move(lock);
        if (!plan_.lock) MILEPOST_TRY(take_lock());
        MILEPOST_TRY(read_journal());
        MILEPOST_TRY(find_leftover());
        VerifyOptions options{.known_gaps = known_gaps_, .has_lock = plan_.lock != nullptr};
        options.on_progress = plan_.options.on_progress;
        options.on_segment = [this](
                                 const auto& partition,
                                 const SegmentToAudit& segment,
                                 const SegmentAudit& audit,
                                 bool is_last
                             ) {
            const auto looked = look_at(partition, segment, audit, is_last);
            if (!looked && !error_) error_ = looked.error();
        };
        options.on_missing_end = [this](const auto& partition, Offset first, Offset end) {
            const auto found = ends_.find(partition);  // with what is mended
            const Offset begin = found == ends_.end() ? first : std::max(first, found->second);
            if (begin < end) lose(partition, {begin, end}, reason_rot);
        };
        const auto verified =
            verify_folder(files_, plan_.data_dir, options, [this](const VerifiedFile& line) {
                note(line);
            });
        if (!verified) return verified.error();
        if (error_) return error_;
        say_journal();
        const auto space = files_.space(plan_.data_dir);
        if (!space) return space.error();
        plan_.bytes_available = space->available_bytes;
        if (plan_.bytes_needed != 0) plan_.bytes_needed += slack_bytes;
        return std::move(plan_);
    }

private:
    Result<void> take_lock() {
        const auto entries = files_.list(plan_.data_dir);
        if (!entries) return entries.error();
        const bool is_there = std::any_of(
            entries->begin(),
            entries->end(),
            [](const DirectoryEntry& entry) { return entry.name == "lock"; }
        );
        if (!is_there && !plan_.options.makes_lock) return {};
        auto lock = files_.lock(plan_.data_dir / "lock");
        if (!lock) return lock.error();
        plan_.lock = std::move(*lock);
        return {};
    }

    Result<void> read_journal() {
        const auto folder = plan_.data_dir / journal_folder_name;
        const auto generations = ring_generations(files_, folder);
        if (!generations) {
            if (generations.error() == boost::system::errc::no_such_file_or_directory) return {};
            return generations.error();
        }
        if (generations->empty()) return {};
        plan_.ring = generations->back();
        auto file = files_.open(ring_path(folder, *plan_.ring), OpenMode::read);
        if (!file) return file.error();
        auto replay = replay_ring(**file);
        if (replay) {
            plan_.slot = std::move(replay->slot);
            return {};
        }
        if (replay.error() != JournalErrc::header_damaged) return replay.error();
        const auto bytes = (*file)->size();
        if (!bytes) return bytes.error();
        plan_.sets_ring_aside = true;
        plan_.ring_bytes = *bytes > ring_begin ? (*bytes - ring_begin) / block_bytes * block_bytes
                                               : 0;
        return {};
    }

    // A repair that was killed has made the second half of an active segment, and the checkpoint
    // does not know of it: its records are still in the first one. Nobody else begins a segment
    // below where the checkpoint ends.
    Result<void> find_leftover() {
        if (!plan_.slot) return {};
        for (const CheckpointPartition& each : plan_.slot->checkpoint.partitions) {
            const auto folder = plan_.data_dir / partition_folder_name(each.name);
            const auto entries = files_.list(folder);
            if (!entries) continue;  // verify says that it is gone
            for (const DirectoryEntry& entry : *entries) {
                const auto name = parse_segment_file_name(entry.name);
                if (!name || name->kind != SegmentFile::log) continue;
                if (name->base <= each.active_base || name->base >= each.next) continue;
                plan_.leftover.push_back(folder / entry.name);
                plan_.actions.push_back(
                    below(folder / entry.name) + ": half of a repair that was cut short: taken back"
                );
            }
        }
        return {};
    }

    [[nodiscard]] const CheckpointPartition* checkpoint_of(const TopicPartition& partition) const {
        if (!plan_.slot) return nullptr;
        for (const CheckpointPartition& each : plan_.slot->checkpoint.partitions) {
            if (each.name == partition) return &each;
        }
        return nullptr;
    }

    Result<void> look_at(
        const TopicPartition& partition,
        const SegmentToAudit& segment,
        const SegmentAudit& audit,
        bool is_last
    ) {
        SegmentRepair repair{.partition = partition, .segment = segment, .findings = {}};
        repair.segment.is_known_hole = {};  // what they refer to is gone when the work is done
        repair.segment.on_read = {};
        repair.is_last = is_last;
        const auto* checkpoint = checkpoint_of(partition);
        repair.is_active = checkpoint != nullptr && checkpoint->active_base == segment.base &&
                           checkpoint->active_bytes != 0;
        // A last batch whose offset is wrong looks as if it belonged to nobody.
        const bool ends_short =
            segment.next_base && audit.next < *segment.next_base &&
            !KnownHoles{known_gaps_}.cover(partition, audit.next, *segment.next_base);
        if (!audit.files.front().is_sound || ends_short) {
            MILEPOST_TRY(examine(repair, checkpoint));
        }
        repair.makes_offset_index = repair.rewrites_log || needs_work(audit.files[1]);
        repair.makes_time_index = repair.rewrites_log || needs_work(audit.files[2]);
        if (!repair.rewrites_log) {
            for (const VerifiedFile* line : {&audit.files[1], &audit.files[2]}) {
                if (needs_work(*line)) say_index(segment.folder / line->path, *line);
            }
        }
        const bool has_work = repair.rewrites_log || repair.makes_offset_index ||
                              repair.makes_time_index;
        if (has_work) plan_.segments.push_back(std::move(repair));
        return {};
    }

    static bool needs_work(const VerifiedFile& index) { return !index.is_sound || !index.is_there; }

    Result<void> examine(SegmentRepair& repair, const CheckpointPartition* checkpoint) {
        SegmentToAudit& segment = repair.segment;
        // The audit does not count what is mended at the end of the segment before.
        Offset& ends = ends_.try_emplace(repair.partition, segment.expected).first->second;
        segment.expected = std::max(segment.expected, ends);
        std::optional<Offset> end = segment.next_base;
        if (!end && repair.is_active) end = checkpoint->next;
        auto findings = examine_segment(files_, segment, end);
        if (!findings) return findings.error();
        repair.findings = std::move(*findings);
        const SegmentFindings& found = repair.findings;
        ends = found.next;
        std::uint64_t kept_bytes = 0;
        for (const KeptBatch& batch : found.kept) {
            kept_bytes += batch.bytes;
        }
        const bool is_short = repair.is_active && kept_bytes < checkpoint->active_bytes;
        repair.rewrites_log = found.needs_rewrite() || is_short;
        const auto log = segment_path(segment.folder, segment.base, SegmentFile::log);
        if (repair.rewrites_log) {
            plan_.bytes_needed += kept_bytes;
            MILEPOST_TRY(say_segment(log, found));
        }
        for (const OffsetRange& range : found.lost) {
            lose(repair.partition, range, reason_rot);
        }
        for (const OffsetRange& range : found.missing) {
            lose(repair.partition, range, reason_missing);
        }
        return {};
    }

    Result<void> say_segment(const std::filesystem::path& log, const SegmentFindings& found) {
        const auto beside = name_beside(files_, log);
        if (!beside) return beside.error();
        std::string what = below(log) + ": ";
        if (found.mended != 0) {
            what += std::to_string(found.mended) + " batch headers are mended; ";
        }
        if (found.rotten != 0) {
            what += std::to_string(found.rotten) + " rotten batches (" +
                    std::to_string(found.rotten_bytes) + " bytes) are left out; ";
        }
        what += "written again; the original is kept as " + beside->filename().string();
        plan_.actions.push_back(std::move(what));
        return {};
    }

    void say_index(const std::filesystem::path& index, const VerifiedFile& line) {
        std::string what = below(index) + ": made again";
        const auto beside = name_beside(files_, index);
        if (line.is_there && beside) {
            what += "; the wrong one is kept as " + beside->filename().string();
        }
        plan_.actions.push_back(std::move(what));
    }

    void lose(const TopicPartition& partition, const OffsetRange& range, std::string_view reason) {
        if (KnownHoles{known_gaps_}.cover(partition, range.first, range.end)) return;
        const Gap gap{
            .partition = partition,
            .first = range.first,
            .end = range.end,
            .reason = std::string{reason},
            .noticed = wall_now()};
        known_gaps_.push_back(gap);
        plan_.gaps.push_back(gap);
        plan_.actions.push_back(
            partition_folder_name(partition) + ": " + text(range) +
            " are lost: entered in the gap ledger as " + gap.reason
        );
    }

    void note(const VerifiedFile& line) {
        const bool is_journal = line.path.begin() != line.path.end() &&
                                *line.path.begin() == journal_folder_name;
        if (is_journal && !line.is_sound) journal_trouble_ = line.note;
        if (line.note.starts_with("not ours")) {
            plan_.notes.push_back(line.path.string() + ": not ours; left alone");
        }
    }

    void say_journal() {
        if (journal_trouble_.empty()) return;
        const auto ring = below(ring_path(plan_.data_dir / journal_folder_name, *plan_.ring));
        plan_.opens_log = true;
        if (!plan_.sets_ring_aside) {
            plan_.actions.push_back(
                ring + " (" + journal_trouble_ +
                "): the log is recovered and checkpointed; what no segment has is entered in the "
                "gap ledger"
            );
            return;
        }
        plan_.actions.push_back(
            ring +
            ": no header can be read: kept beside; a new one is made behind the segments, with a "
            "new log id: what only this one held is lost, and forwarding begins at start"
        );
        plan_.bytes_needed += plan_.ring_bytes;
    }

    [[nodiscard]] std::string below(const std::filesystem::path& path) const {
        return path.lexically_relative(plan_.data_dir).string();
    }

    FileSystem& files_;
    RepairPlan plan_;
    std::vector<Gap> known_gaps_;            // and what is planned
    std::map<TopicPartition, Offset> ends_;  // of what was examined
    std::string journal_trouble_;
    ErrorCode error_;
};

}  // namespace

Result<RepairPlan> plan_repair(
    FileSystem& files,
    const std::filesystem::path& data_dir,
    const RepairOptions& options,
    std::unique_ptr<FolderLock> lock
) {
    return Planner{files, data_dir, options}.run(std::move(lock));
}

}  // namespace milepost::storage
