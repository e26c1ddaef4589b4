#include "storage/log/verify.hpp"

#include "storage/format/record_batch.hpp"
#include "storage/journal/errc.hpp"
#include "storage/journal/frame.hpp"
#include "storage/journal/replay.hpp"
#include "storage/journal/ring_header.hpp"
#include "storage/log/known_holes.hpp"
#include "storage/log/segment_name.hpp"

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace milepost::storage {

namespace {

constexpr const char* lock_name = "lock";
constexpr const char* database_name = "meta.db";  // and what SQLite puts beside it

Result<void> walk_records(Bytes batch, const BatchHeader& header, Buffer& scratch) {
    auto cursor = RecordCursor::open(batch, header, scratch);
    if (!cursor) return cursor.error();
    for (;;) {
        const auto record = cursor->next();
        if (!record) return record.error();
        if (!record->has_value()) return {};
    }
}

class FolderVerifier {
public:
    FolderVerifier(
        FileSystem& files,
        const std::filesystem::path& data_dir,
        const VerifyOptions& options,
        const std::function<void(const VerifiedFile&)>& on_file
    )
        : files_(files)
        , data_dir_(data_dir)
        , options_(options)
        , on_file_(on_file)
        , known_holes_(options.known_gaps) {}

    Result<VerifyReport> run();

private:
    Result<void> measure(const std::vector<DirectoryEntry>& entries);
    Result<void> open_journal(std::uint32_t generation, bool is_last);
    Result<void> verify_partition(const TopicPartition& partition);
    void trust(SegmentToAudit& segment, const TopicPartition& partition, bool is_last) const;
    void verify_frames(std::uint32_t generation);
    void verify_section(const RecordsSection& section);
    void verify_ends();

    void say(VerifiedFile line) { on_file_(line); }

    [[nodiscard]] const CheckpointPartition* checkpoint_of(const TopicPartition& partition) const;

    FileSystem& files_;
    const std::filesystem::path& data_dir_;
    const VerifyOptions& options_;
    const std::function<void(const VerifiedFile&)>& on_file_;
    KnownHoles known_holes_;

    VerifyReport report_;
    std::optional<Replay> replay_;
    std::map<TopicPartition, Offset> ends_;  // of what segments, then also frames, hold
    std::set<TopicPartition> found_;
    std::uint64_t ahead_records_ = 0;   // in the journal only
    std::uint64_t damaged_frames_ = 0;  // batches in frames, to be exact
    std::uint64_t journal_holes_ = 0;
    std::uint64_t known_journal_holes_ = 0;
    std::uint64_t bytes_to_read_ = 0;
    std::uint64_t bytes_read_ = 0;
    Buffer scratch_;
};

Result<VerifyReport> FolderVerifier::run() {
    const auto entries = files_.list(data_dir_);
    if (!entries) return entries.error();
    const auto has = [&](const char* name) {
        return std::any_of(entries->begin(), entries->end(), [&](const DirectoryEntry& entry) {
            return entry.name == name;
        });
    };
    std::unique_ptr<FolderLock> held;
    if (has(lock_name) && !options_.has_lock) {
        auto lock = files_.lock(data_dir_ / lock_name);
        if (!lock) return lock.error();
        held = std::move(*lock);
    }
    std::vector<std::uint32_t> generations;
    if (has(journal_folder_name)) {
        auto found = ring_generations(files_, data_dir_ / journal_folder_name);
        if (!found) return found.error();
        generations = std::move(*found);
    }
    for (const std::uint32_t generation : generations) {
        MILEPOST_TRY(open_journal(generation, generation == generations.back()));
    }
    if (options_.on_progress) MILEPOST_TRY(measure(*entries));
    for (const DirectoryEntry& entry : *entries) {
        if (entry.name == lock_name || entry.name == journal_folder_name ||
            entry.name.starts_with(database_name)) {
            continue;
        }
        const auto partition = parse_partition_folder_name(entry.name);
        if (!partition || !entry.is_directory) {
            say({.path = entry.name, .note = "not ours; left alone"});
            continue;
        }
        found_.insert(*partition);
        MILEPOST_TRY(verify_partition(*partition));
    }
    if (generations.empty() && found_.empty()) {
        if (!has(lock_name)) {
            return make_error_code(boost::system::errc::no_such_file_or_directory);
        }
        say({.path = journal_folder_name, .note = "not made yet: the first start was cut short"});
        return report_;
    }
    if (replay_) verify_frames(generations.back());
    verify_ends();
    return report_;
}

// How much there is to read, for the progress.
Result<void> FolderVerifier::measure(const std::vector<DirectoryEntry>& entries) {
    for (const DirectoryEntry& entry : entries) {
        if (!entry.is_directory || !parse_partition_folder_name(entry.name)) continue;
        const auto inside = files_.list(data_dir_ / entry.name);
        if (!inside) return inside.error();
        for (const DirectoryEntry& file : *inside) {
            const auto name = parse_segment_file_name(file.name);
            if (name && name->kind == SegmentFile::log) bytes_to_read_ += file.bytes;
        }
    }
    return {};
}

// Reads the ring; what its frames hold is compared with the segments later.
Result<void> FolderVerifier::open_journal(std::uint32_t generation, bool is_last) {
    const auto path = ring_path(data_dir_ / journal_folder_name, generation);
    const auto below = std::filesystem::path{journal_folder_name} / path.filename();
    if (!is_last) {
        say({.path = below, .note = "an older ring; not used"});
        return {};
    }
    auto file = files_.open(path, OpenMode::read);
    if (!file) return file.error();
    auto replay = replay_ring(**file);
    if (replay) {
        replay_ = std::move(*replay);
        return {};
    }
    if (replay.error() != JournalErrc::header_damaged &&
        replay.error() != JournalErrc::newer_version) {
        return replay.error();
    }
    ++report_.damaged;
    say({.path = below, .is_sound = false, .note = replay.error().message()});
    return {};
}

const CheckpointPartition* FolderVerifier::checkpoint_of(const TopicPartition& partition) const {
    if (!replay_ || !replay_->slot) return nullptr;
    const auto& all = replay_->slot->checkpoint.partitions;
    const auto found = std::find_if(all.begin(), all.end(), [&](const CheckpointPartition& each) {
        return each.name == partition;
    });
    return found == all.end() ? nullptr : &*found;
}

// How much of a segment the checkpoint vouches for.
void FolderVerifier::trust(SegmentToAudit& segment, const TopicPartition& partition, bool is_last)
    const {
    if (!replay_ || !replay_->slot) {
        if (is_last) segment.trusted_bytes = 0;
        return;
    }
    segment.has_checkpoint = true;
    const auto* checkpoint = checkpoint_of(partition);
    if (checkpoint == nullptr || segment.base > checkpoint->active_base) {
        segment.trusted_bytes = 0;
    } else if (segment.base == checkpoint->active_base) {
        segment.trusted_bytes = checkpoint->active_bytes;
    } else {
        segment.has_checkpoint = false;  // whole, whatever its length
    }
}

Result<void> FolderVerifier::verify_partition(const TopicPartition& partition) {
    const std::filesystem::path below = partition_folder_name(partition);
    const auto entries = files_.list(data_dir_ / below);
    if (!entries) return entries.error();
    std::vector<Offset> bases;
    for (const DirectoryEntry& entry : *entries) {
        const auto name = parse_segment_file_name(entry.name);
        if (name && name->kind == SegmentFile::log) bases.push_back(name->base);
    }
    for (const DirectoryEntry& entry : *entries) {
        const auto name = parse_segment_file_name(entry.name);
        if (name && std::binary_search(bases.begin(), bases.end(), name->base)) continue;
        const bool is_kept = entry.name.find(".damaged-") != std::string::npos;
        const char* note = name      ? "an index without its segment; not used"
                           : is_kept ? "the original of a repair; not used"
                                     : "not ours; left alone";
        say({.path = below / entry.name, .note = note});
    }
    const auto* checkpoint = checkpoint_of(partition);
    if (checkpoint != nullptr) ends_[partition] = checkpoint->start;
    for (std::size_t i = 0; i < bases.size(); ++i) {
        SegmentToAudit segment{.folder = data_dir_ / below, .base = bases[i]};
        segment.deep = options_.deep;
        segment.is_known_hole = [&](Offset first, Offset end) {
            return known_holes_.cover(partition, first, end);
        };
        segment.on_read = [&](std::uint64_t bytes) {
            bytes_read_ += bytes;
            if (options_.on_progress) options_.on_progress(bytes_read_, bytes_to_read_);
        };
        const bool is_last = i + 1 == bases.size();
        if (!is_last) segment.next_base = bases[i + 1];
        const auto end = ends_.find(partition);
        segment.expected = end == ends_.end() ? bases[i] : end->second;
        if (i == 0) segment.expected = std::min(segment.expected, bases[i]);
        trust(segment, partition, is_last);
        const auto audit = audit_segment(files_, segment);
        if (!audit) return audit.error();
        if (options_.on_segment) options_.on_segment(partition, segment, *audit, is_last);
        for (VerifiedFile line : audit->files) {
            line.path = below / line.path;
            say(std::move(line));
        }
        ends_[partition] = audit->next;
        report_.records += audit->records;
        report_.damaged += audit->damaged;
        report_.holes += audit->holes;
        report_.known_holes += audit->known_holes;
    }
    return {};
}

void FolderVerifier::verify_frames(std::uint32_t generation) {
    const auto path = ring_path(journal_folder_name, generation);
    for (const ReplayedFrame& frame : replay_->frames) {
        SectionCursor sections{frame.payload, frame.section_count};
        for (;;) {
            const auto section = sections.next();
            if (!section) {
                ++damaged_frames_;
                break;
            }
            if (!section->has_value()) break;
            if (const auto* records = std::get_if<RecordsSection>(&**section)) {
                verify_section(*records);
            }
        }
    }
    VerifiedFile line{.path = path};
    line.note = std::to_string(replay_->frames.size()) + " frames";
    if (ahead_records_ != 0) {
        line.note += ", " + std::to_string(ahead_records_) + " records not in segments yet";
    }
    if (replay_->torn_end) line.note += "; torn end: the last frame was never finished";
    std::uint64_t damaged = damaged_frames_;
    for (const SequenceHole& hole : replay_->holes) {
        damaged += hole.end - hole.first;
        line.note += "; frames " + std::to_string(hole.first) + " to " +
                     std::to_string(hole.end - 1) + " are rotten";
    }
    if (damaged_frames_ != 0) {
        line.note += "; " + std::to_string(damaged_frames_) + " sections are rotten";
    }
    if (replay_->damaged_slots != 0) {
        line.note += "; " + std::to_string(replay_->damaged_slots) + " checkpoint slot damaged";
    }
    if (journal_holes_ != 0) line.note += "; " + std::to_string(journal_holes_) + " holes";
    line.is_sound = damaged == 0 && journal_holes_ == known_journal_holes_;
    report_.damaged += damaged;
    report_.holes += journal_holes_;
    report_.known_holes += known_journal_holes_;
    say(std::move(line));
}

void FolderVerifier::verify_section(const RecordsSection& section) {
    const auto header = check_batch(section.batch);
    if (!header || (options_.deep && !walk_records(section.batch, *header, scratch_))) {
        ++damaged_frames_;
        return;
    }
    const TopicPartition partition{std::string{section.topic}, section.partition};
    const auto* checkpoint = checkpoint_of(partition);
    const Offset begin = checkpoint == nullptr ? Offset{0} : checkpoint->start;
    Offset& end = ends_.try_emplace(partition, begin).first->second;
    if (header->next_offset() <= end) return;
    if (header->base_offset > end) {
        ++journal_holes_;
        if (known_holes_.cover(partition, end, header->base_offset)) ++known_journal_holes_;
    }
    const Offset first = std::max(end, header->base_offset);
    const auto records = static_cast<std::uint64_t>(header->next_offset() - first);
    ahead_records_ += records;
    report_.records += records;
    end = header->next_offset();
}

// What the checkpoint says was there must still be.
void FolderVerifier::verify_ends() {
    if (!replay_ || !replay_->slot) return;
    for (const CheckpointPartition& each : replay_->slot->checkpoint.partitions) {
        const auto found = ends_.find(each.name);
        const Offset end = found == ends_.end() ? each.start : found->second;
        if (end >= each.next) continue;
        const bool is_known = known_holes_.cover(each.name, end, each.next);
        ++report_.holes;
        if (is_known) ++report_.known_holes;
        if (!is_known && options_.on_missing_end) {
            options_.on_missing_end(each.name, end, each.next);
        }
        say({
            .path = partition_folder_name(each.name),
            .is_sound = is_known,
            .note = "offsets " + std::to_string(end.value()) + " to " +
                    std::to_string(each.next.value() - 1) + " are missing at the end" +
                    (is_known ? " (known)" : ""),
        });
    }
}

}  // namespace

Result<VerifyReport> verify_folder(
    FileSystem& files,
    const std::filesystem::path& data_dir,
    const VerifyOptions& options,
    const std::function<void(const VerifiedFile&)>& on_file
) {
    return FolderVerifier{files, data_dir, options, on_file}.run();
}

}  // namespace milepost::storage
