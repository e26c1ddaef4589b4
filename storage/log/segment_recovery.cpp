#include "storage/log/segment_recovery.hpp"

#include "storage/base/units.hpp"
#include "storage/format/errc.hpp"
#include "storage/log/batch_scanner.hpp"
#include "storage/log/recovery_table.hpp"
#include "storage/log/segment_name.hpp"
#include "storage/log/segment_writer.hpp"

#include <algorithm>
#include <string>
#include <utility>

namespace milepost::storage {

namespace {

struct FoundSegment {
    Offset base;
    std::uint64_t bytes = 0;
};

// The part of a segment that is scanned, and what came of it.
struct Scan {
    std::uint64_t from = 0;
    std::uint64_t valid = 0;  // the file is right up to here
    bool leaves_gap = false;  // whole batches were cut because offsets are missing before them
};

class FolderRecovery {
public:
    FolderRecovery(
        FileSystem& files,
        const std::filesystem::path& folder,
        const SegmentsKnown& known,
        RecoveryReport& report
    )
        : files_(files)
        , folder_(folder)
        , known_(known)
        , report_(report) {}

    Result<RecoveredSegments> run() {
        MILEPOST_TRY(list());
        const std::size_t first = first_scanned();
        for (std::size_t i = 0; i < first; ++i) {
            result_.segments.push_back(
                {.base = found_[i].base, .next = base_behind(i), .bytes = found_[i].bytes}
            );
        }
        result_.end = known_.checkpoint       ? known_.checkpoint->next
                      : first < found_.size() ? found_[first].base
                                              : Offset{0};
        if (lost_the_active(first)) result_.end = std::min(result_.end, end_without_it(first));
        for (std::size_t i = first; i < found_.size(); ++i) {
            MILEPOST_TRY(recover_one(i));
        }
        return std::move(result_);
    }

private:
    Result<void> list() {
        const auto entries = files_.list(folder_);
        if (!entries) {
            if (entries.error() == boost::system::errc::no_such_file_or_directory) return {};
            return entries.error();
        }
        const Offset start = known_.checkpoint ? known_.checkpoint->start : Offset{0};
        // Below the start: retention had said so in the slot before it began to remove.
        bool has_removed = false;
        for (const DirectoryEntry& entry : *entries) {
            const auto name = parse_segment_file_name(entry.name);
            if (!name || entry.is_directory) {
                note("left alone: " + entry.name);
            } else if (name->base < start) {
                if (!known_.read_only) {
                    (void)files_.remove(folder_ / entry.name).has_error();
                    has_removed = true;
                }
            } else if (name->kind == SegmentFile::log) {
                found_.push_back({.base = name->base, .bytes = entry.bytes});
            }
        }
        std::sort(found_.begin(), found_.end(), [](const auto& left, const auto& right) {
            return left.base < right.base;
        });
        if (has_removed) (void)files_.sync_directory(folder_).has_error();
        return {};
    }

    [[nodiscard]] std::size_t first_scanned() const {
        if (known_.checkpoint) {
            const auto active = std::find_if(
                found_.begin(),
                found_.end(),
                [&](const auto& segment) { return segment.base >= known_.checkpoint->active_base; }
            );
            return static_cast<std::size_t>(active - found_.begin());
        }
        if (known_.has_slot || found_.empty()) return 0;
        return found_.size() - 1;
    }

    [[nodiscard]] Offset base_behind(std::size_t index) const {
        return index + 1 < found_.size() ? found_[index + 1].base
                                         : known_.checkpoint.value_or(CheckpointPartition{}).next;
    }

    // The checkpoint says that the active segment had bytes, and they are not there.
    [[nodiscard]] bool lost_the_active(std::size_t first) const {
        if (!known_.checkpoint || known_.checkpoint->active_bytes == 0) return false;
        return first == found_.size() || found_[first].base != known_.checkpoint->active_base ||
               found_[first].bytes < known_.checkpoint->active_bytes;
    }

    [[nodiscard]] Offset end_without_it(std::size_t first) const {
        const bool is_there = first < found_.size() &&
                              found_[first].base == known_.checkpoint->active_base;
        return is_there ? found_[first].base : known_.checkpoint->active_base;
    }

    Result<void> recover_one(std::size_t index) {
        const FoundSegment& segment = found_[index];
        Scan scan;
        if (known_.checkpoint && segment.base == known_.checkpoint->active_base &&
            segment.bytes >= known_.checkpoint->active_bytes) {
            scan.from = known_.checkpoint->active_bytes;
        }
        scan.valid = scan.from;
        if (segment.bytes > scan.from) MILEPOST_TRY(scan_file(index, scan));
        report_.segment_bytes_cut += segment.bytes - scan.valid;
        if (scan.valid == 0) return drop(segment, scan);
        if (!known_.read_only) MILEPOST_TRY(settle(index, scan));
        result_.segments.push_back({.base = segment.base, .next = result_.end, .bytes = scan.valid}
        );
        return {};
    }

    Result<void> scan_file(std::size_t index, Scan& scan) {
        const FoundSegment& segment = found_[index];
        auto file =
            files_.open(segment_path(folder_, segment.base, SegmentFile::log), OpenMode::read);
        if (!file) return file.error();
        BatchScanner scanner{
            **file,
            {FilePosition{scan.from}, FilePosition{segment.bytes}},
            scan.from > 0 ? result_.end : segment.base};
        while (true) {
            const auto batch = scanner.next();
            if (!batch && batch.error().category() != format_category()) return batch.error();
            if (batch && !batch->has_value()) break;
            const BatchState state = batch ? judge(index, (*batch)->header)
                                     : batch.error() == FormatErrc::short_read ? BatchState::torn
                                                                               : BatchState::wrong;
            if (decide_batch(BatchPlace::behind_checkpoint, state) != BatchDecision::keep) {
                scan.leaves_gap = state == BatchState::leaves_gap;
                break;
            }
            result_.end = (*batch)->header.next_offset();
            scan.valid = scanner.position().value();
        }
        report_.bytes_scanned += segment.bytes - scan.from;
        return {};
    }

    [[nodiscard]] BatchState judge(std::size_t index, const BatchHeader& header) const {
        const bool is_last = index + 1 == found_.size();
        if (!is_last && header.next_offset() > found_[index + 1].base) return BatchState::overlaps;
        if (header.base_offset < result_.end) return BatchState::overlaps;
        return header.base_offset > result_.end ? BatchState::leaves_gap : BatchState::follows;
    }

    // Nothing of the file is kept.
    Result<void> drop(const FoundSegment& segment, const Scan& scan) {
        if (known_.read_only || keeps_the_place(segment)) return {};
        for (const auto kind :
             {SegmentFile::offset_index, SegmentFile::time_index, SegmentFile::log}) {
            const auto path = segment_path(folder_, segment.base, kind);
            // What does not go now is in the way of the checkpointer, which tries again.
            if (scan.leaves_gap && kind == SegmentFile::log) {
                note(
                    "set aside, because offsets are missing before it: " + path.filename().string()
                );
                MILEPOST_TRY(files_.rename(path, path.string() + ".aside"));
            } else {
                (void)files_.remove(path).has_error();
            }
        }
        return {};
    }

    // Retention took everything before it.
    [[nodiscard]] bool keeps_the_place(const FoundSegment& segment) const {
        return segment.bytes == 0 && segment.base == result_.end && result_.segments.empty() &&
               segment.base == found_.back().base;
    }

    // Makes what is kept behind the checkpoint durable, and cuts the rest off.
    Result<void> settle(std::size_t index, const Scan& scan) {
        const FoundSegment& segment = found_[index];
        if (scan.valid == scan.from && scan.valid == segment.bytes) return {};
        if (known_.has_slot && scan.valid > scan.from) {
            MILEPOST_TRY(write_again(segment, scan));
        }
        auto writer = SegmentWriter::recover(files_, folder_, segment.base, scan.valid);
        if (!writer) return writer.error();
        const bool is_last = index + 1 == found_.size();
        return is_last ? (*writer)->sync() : (*writer)->seal();
    }

    // A page that a failed write-back left clean in the cache would pass any number of syncs.
    Result<void> write_again(const FoundSegment& segment, const Scan& scan) {
        auto file =
            files_.open(segment_path(folder_, segment.base, SegmentFile::log), OpenMode::write);
        if (!file) return file.error();
        Buffer piece(std::min<std::uint64_t>(scan.valid - scan.from, mib));
        for (std::uint64_t at = scan.from; at < scan.valid;) {
            const auto wanted = std::min<std::uint64_t>(scan.valid - at, piece.size());
            const auto got = (*file)->read_at(FilePosition{at}, MutableBytes{piece}.first(wanted));
            if (!got) return got.error();
            if (*got == 0) return FormatErrc::short_read;
            MILEPOST_TRY((*file)->write_at(FilePosition{at}, Bytes{piece}.first(*got)));
            at += *got;
        }
        return (*file)->sync();
    }

    void note(const std::string& what) {
        report_.notes.push_back(folder_.filename().string() + ": " + what);
    }

    FileSystem& files_;
    const std::filesystem::path& folder_;
    const SegmentsKnown& known_;
    RecoveryReport& report_;
    std::vector<FoundSegment> found_;
    RecoveredSegments result_;
};

}  // namespace

Result<RecoveredSegments> recover_segments(
    FileSystem& files,
    const std::filesystem::path& folder,
    const SegmentsKnown& known,
    RecoveryReport& report
) {
    return FolderRecovery{files, folder, known, report}.run();
}

}  // namespace milepost::storage
