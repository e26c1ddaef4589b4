#include "storage/log/segment_audit.hpp"

#include "storage/base/units.hpp"
#include "storage/format/errc.hpp"
#include "storage/format/record_batch.hpp"
#include "storage/log/batch_scanner.hpp"
#include "storage/log/offset_index.hpp"
#include "storage/log/segment_name.hpp"
#include "storage/log/time_index.hpp"

#include <algorithm>
#include <memory>
#include <utility>

namespace milepost::storage {

namespace {

std::string bytes_at(std::uint64_t bytes, FilePosition at) {
    return std::to_string(bytes) + " bytes at " + std::to_string(at.value());
}

// What was read is forgotten, and the progress is told, in such steps. Asking for what comes
// (POSIX_FADV_WILLNEED) was measured: it takes twice as long as the kernel's own reading ahead.
constexpr std::uint64_t step_bytes = 4 * mib;

std::string describe_holes(std::uint64_t holes, std::uint64_t known) {
    std::string text = std::to_string(holes) + " holes";
    if (known == holes) return text + " (known)";
    return known == 0 ? text : text + " (" + std::to_string(known) + " known)";
}

// A good batch, as the indexes must describe it.
struct KnownBatch {
    std::uint64_t position;
    std::int64_t relative_last;
    Timestamp max_so_far;
};

class LogAuditor {
public:
    LogAuditor(const SegmentToAudit& segment, SegmentAudit& audit)
        : segment_(segment)
        , audit_(audit) {}

    Result<void> run(File& log, std::uint64_t bytes);

    [[nodiscard]] const std::vector<KnownBatch>& batches() const { return batches_; }

    [[nodiscard]] bool found_rot() const { return damaged_ != 0; }

    [[nodiscard]] VerifiedFile line() const;

private:
    enum class Then : std::uint8_t { go_on, stop };

    [[nodiscard]] bool is_trusted(FilePosition at) const {
        return at.value() < segment_.trusted_bytes;
    }

    Result<Then> step_over(BatchScanner& scanner, const ErrorCode& error);
    Then take(const ScannedBatch& batch);
    void pass(File& log, FilePosition to);
    void damage(FilePosition at, const std::string& what);
    Result<void> walk_records(const ScannedBatch& batch);

    const SegmentToAudit& segment_;
    SegmentAudit& audit_;
    std::vector<KnownBatch> batches_;
    std::uint64_t damaged_ = 0;
    std::uint64_t holes_ = 0;
    std::uint64_t known_holes_ = 0;
    std::string first_trouble_;
    std::string remark_;
    std::uint64_t bytes_ = 0;
    FilePosition passed_{0};
    bool jump_is_explained_ = false;  // the rot before it is counted
    Buffer scratch_;
};

void LogAuditor::damage(FilePosition at, const std::string& what) {
    if (first_trouble_.empty()) first_trouble_ = what + " at " + std::to_string(at.value());
    ++damaged_;
}

Result<void> LogAuditor::run(File& log, std::uint64_t bytes) {
    bytes_ = bytes;
    BatchScanner scanner{log, {FilePosition{0}, FilePosition{bytes}}, segment_.base};
    for (;;) {
        const FilePosition at = scanner.position();
        const auto batch = scanner.next();
        if (!batch) {
            if (!is_format_error(batch.error())) return batch.error();
            const auto then = step_over(scanner, batch.error());
            if (!then) return then.error();
            if (*then == Then::stop) break;
            continue;
        }
        if (!batch->has_value()) break;
        if (take(**batch) == Then::stop) {
            remark_ = bytes_at(bytes - at.value(), at) + " are left over and not used";
            break;
        }
        if (scanner.position() - passed_ >= step_bytes) pass(log, scanner.position());
    }
    pass(log, FilePosition{bytes});
    if (bytes < segment_.trusted_bytes && segment_.has_checkpoint) {
        damage(FilePosition{bytes}, "shorter than the checkpoint says: ends");
    }
    audit_.damaged += damaged_;
    audit_.holes += holes_;
    audit_.known_holes += known_holes_;
    return {};
}

void LogAuditor::pass(File& log, FilePosition to) {
    log.forget_cached(passed_, to - passed_);
    if (segment_.on_read) segment_.on_read(to - passed_);
    passed_ = to;
}

Result<LogAuditor::Then> LogAuditor::step_over(BatchScanner& scanner, const ErrorCode& error) {
    const FilePosition at = scanner.position();
    const auto found = scanner.resync();
    if (!found) return found.error();
    const bool is_tail = *found == BatchScanner::Resync::at_end;
    if (!is_trusted(at) && (is_tail || segment_.has_checkpoint)) {
        remark_ = "torn tail: " + bytes_at(bytes_ - at.value(), at) + " are cut at the next start";
        return Then::stop;
    }
    damage(at, error.message());
    jump_is_explained_ = true;
    return is_tail ? Then::stop : Then::go_on;
}

LogAuditor::Then LogAuditor::take(const ScannedBatch& batch) {
    const BatchHeader& header = batch.header;
    if (segment_.next_base && header.base_offset >= *segment_.next_base) return Then::stop;
    if (header.base_offset > audit_.next && !jump_is_explained_) {
        if (!is_trusted(batch.position)) return Then::stop;
        if (first_trouble_.empty()) {
            first_trouble_ = "offsets " + std::to_string(audit_.next.value()) + " to " +
                             std::to_string(header.base_offset.value() - 1) + " are missing";
        }
        ++holes_;
        if (segment_.is_known_hole && segment_.is_known_hole(audit_.next, header.base_offset)) {
            ++known_holes_;
        }
    }
    jump_is_explained_ = false;
    if (header.base_offset < audit_.next) damage(batch.position, "offsets that were there before");
    if (header.leader_epoch != 0) damage(batch.position, "a leader epoch that is not ours");
    if (segment_.deep) {
        if (const auto walked = walk_records(batch); !walked) {
            damage(batch.position, walked.error().message());
        }
    }
    if (!header.is_control) audit_.records += static_cast<std::uint64_t>(header.record_count);
    audit_.next = std::max(audit_.next, header.next_offset());
    const Timestamp max_before = batches_.empty() ? timestamp_none : batches_.back().max_so_far;
    batches_.push_back({
        .position = batch.position.value(),
        .relative_last = header.last_offset() - segment_.base,
        .max_so_far = std::max(max_before, header.max_timestamp),
    });
    return Then::go_on;
}

Result<void> LogAuditor::walk_records(const ScannedBatch& batch) {
    auto cursor = RecordCursor::open(batch.bytes, batch.header, scratch_);
    if (!cursor) return cursor.error();
    for (;;) {
        const auto record = cursor->next();
        if (!record) return record.error();
        if (!record->has_value()) return {};
    }
}

VerifiedFile LogAuditor::line() const {
    VerifiedFile line{.path = segment_file_name(segment_.base, SegmentFile::log)};
    line.is_sound = damaged_ == 0 && holes_ == known_holes_;
    line.note = std::to_string(batches_.size()) + " batches, " + std::to_string(audit_.records) +
                " records";
    if (damaged_ != 0) line.note += ", " + std::to_string(damaged_) + " damaged";
    if (holes_ != 0) line.note += ", " + describe_holes(holes_, known_holes_);
    if (!first_trouble_.empty()) line.note += "; " + first_trouble_;
    if (!remark_.empty()) line.note += "; " + remark_;
    return line;
}

// Whether an entry names a batch as it is. Entries behind the last good batch, and any in a segment
// with rot, cannot be told: they are hints, and checked where they are used.
class IndexAuditor {
public:
    IndexAuditor(const LogAuditor& log)
        : batches_(log.batches())
        , has_rot_(log.found_rot()) {}

    [[nodiscard]] bool is_right(const OffsetEntry& entry) const {
        const auto found = std::lower_bound(
            batches_.begin(),
            batches_.end(),
            entry.position,
            [](const KnownBatch& batch, std::uint32_t position) {
                return batch.position < position;
            }
        );
        if (found == batches_.end()) return true;
        if (found->position != entry.position) return has_rot_;
        return found->relative_last == entry.relative_offset;
    }

    [[nodiscard]] bool is_right(const TimeEntry& entry) const {
        const auto found = std::lower_bound(
            batches_.begin(),
            batches_.end(),
            entry.relative_offset,
            [](const KnownBatch& batch, std::uint32_t offset) {
                return batch.relative_last < offset;
            }
        );
        if (found == batches_.end() || has_rot_) return true;
        return found->relative_last == entry.relative_offset &&
               found->max_so_far == entry.timestamp;
    }

private:
    const std::vector<KnownBatch>& batches_;
    bool has_rot_;
};

template <class Entry>
Result<std::vector<Entry>> load(File& file);

template <>
Result<std::vector<OffsetEntry>> load(File& file) {
    return load_offset_index(file);
}

template <>
Result<std::vector<TimeEntry>> load(File& file) {
    return load_time_index(file);
}

std::size_t rising(const std::vector<OffsetEntry>& entries) {
    return plausible_entries(entries, std::numeric_limits<std::uint64_t>::max());
}

std::size_t rising(const std::vector<TimeEntry>& entries) {
    return plausible_entries(entries, std::numeric_limits<std::uint32_t>::max());
}

template <class Entry>
Result<VerifiedFile> audit_index(
    FileSystem& files,
    const SegmentToAudit& segment,
    SegmentFile kind,
    const IndexAuditor& auditor
) {
    VerifiedFile line{.path = segment_file_name(segment.base, kind)};
    const auto file = files.open(segment_path(segment.folder, segment.base, kind), OpenMode::read);
    if (!file) {
        if (file.error() != boost::system::errc::no_such_file_or_directory) return file.error();
        line.note = "missing; it is made again";
        line.is_there = false;
        return line;
    }
    const auto entries = load<Entry>(**file);
    if (!entries) return entries.error();
    const std::size_t good = rising(*entries);
    std::size_t wrong = entries->size() - good;
    for (std::size_t i = 0; i < good; ++i) {
        if (!auditor.is_right((*entries)[i])) ++wrong;
    }
    line.note = std::to_string(entries->size()) + " entries";
    if (wrong != 0) line.note += ", " + std::to_string(wrong) + " wrong";
    line.is_sound = wrong == 0;
    return line;
}

}  // namespace

Result<SegmentAudit> audit_segment(FileSystem& files, const SegmentToAudit& segment) {
    SegmentAudit audit;
    audit.next = segment.expected;
    const auto log =
        files.open(segment_path(segment.folder, segment.base, SegmentFile::log), OpenMode::read);
    if (!log) return log.error();
    const auto bytes = (*log)->size();
    if (!bytes) return bytes.error();
    LogAuditor auditor{segment, audit};
    MILEPOST_TRY(auditor.run(**log, *bytes));
    audit.files.push_back(auditor.line());

    const IndexAuditor indexes{auditor};
    auto offsets = audit_index<OffsetEntry>(files, segment, SegmentFile::offset_index, indexes);
    if (!offsets) return offsets.error();
    auto times = audit_index<TimeEntry>(files, segment, SegmentFile::time_index, indexes);
    if (!times) return times.error();
    for (VerifiedFile* line : {&*offsets, &*times}) {
        if (!line->is_sound) ++audit.damaged;
        audit.files.push_back(std::move(*line));
    }
    return audit;
}

}  // namespace milepost::storage
