#include "storage/log/segment_repair.hpp"

#include "storage/base/units.hpp"
#include "storage/format/errc.hpp"
#include "storage/log/batch_scanner.hpp"
#include "storage/log/segment_indexes.hpp"
#include "storage/log/segment_name.hpp"
#include "storage/log/set_aside.hpp"

#include <algorithm>
#include <memory>

namespace milepost::storage {

namespace {

constexpr std::size_t piece_bytes = 1 * mib;

struct ByteRange {
    FilePosition from;
    FilePosition end;
};

class SegmentExaminer {
public:
    SegmentExaminer(File& log, const SegmentToAudit& segment, std::optional<Offset> end)
        : log_(log)
        , segment_(segment)
        , end_(end) {
        findings_.next = segment.expected;
    }

    Result<SegmentFindings> run(std::uint64_t bytes) {
        bytes_ = bytes;
        BatchScanner scanner{log_, {FilePosition{0}, FilePosition{bytes}}, segment_.base};
        for (;;) {
            const FilePosition at = scanner.position();
            const auto batch = scanner.next();
            if (!batch) {
                if (!is_format_error(batch.error())) return batch.error();
                const auto found = scanner.resync();
                if (!found) return found.error();
                const bool is_tail = *found == BatchScanner::Resync::at_end;
                // Torn, and the journal has it: recovery's business.
                if (!is_trusted(at) && (is_tail || segment_.has_checkpoint)) break;
                rot_.push_back({at, scanner.position()});
                continue;
            }
            if (!batch->has_value()) break;
            if (!is_trusted(at) && segment_.has_checkpoint) break;
            const auto taken = take(**batch);
            if (!taken) return taken.error();
            if (*taken == Then::stop) return std::move(findings_);
        }
        if (end_) {
            MILEPOST_TRY(settle_rot(*end_));
        } else {
            count_rot();
        }
        return std::move(findings_);
    }

private:
    enum class Then : std::uint8_t { go_on, stop };

    [[nodiscard]] bool is_trusted(FilePosition at) const {
        return at.value() < segment_.trusted_bytes;
    }

    // Stop: the batch and what follows belongs to the next segment.
    Result<Then> take(const ScannedBatch& batch) {
        const BatchHeader& header = batch.header;
        KeptBatch kept{
            .from = batch.position,
            .bytes = header.total_bytes,
            .first = header.base_offset,
            .next = header.next_offset()};
        const bool is_last = batch.position + header.total_bytes == FilePosition{bytes_};
        const Offset next_if_here = findings_.next + (header.last_offset_delta + 1);
        if (rot_.empty() && is_last && header.base_offset > findings_.next && end_ &&
            next_if_here == *end_) {
            // Its offset is wrong, and the next segment says what it was.
            mend(kept, batch.bytes, findings_.next);
            kept.next = next_if_here;
        } else if (segment_.next_base && header.base_offset >= *segment_.next_base) {
            MILEPOST_TRY(settle_rot(*segment_.next_base));
            return Then::stop;
        }
        if (kept.first < findings_.next) {
            ++findings_.rotten;  // offsets that were there before
            findings_.rotten_bytes += header.total_bytes;
            return Then::go_on;
        }
        MILEPOST_TRY(settle_rot(kept.first));
        if (kept.first > findings_.next) findings_.missing.push_back({findings_.next, kept.first});
        if (header.leader_epoch != 0 && !kept.header) mend(kept, batch.bytes, kept.first);
        findings_.next = kept.next;
        findings_.kept.push_back(kept);
        return Then::go_on;
    }

    // `bytes`: a whole batch. What is outside the CRC is written as ours has it.
    void mend(KeptBatch& kept, Bytes bytes, Offset first) {
        std::array<std::byte, batch_header_bytes> header{};
        std::copy_n(bytes.begin(), header.size(), header.begin());
        fill_in(header, first, bytes.size());
        kept.first = first;
        kept.header = header;
        ++findings_.mended;
    }

    static void fill_in(MutableBytes header, Offset first, std::size_t total_bytes) {
        std::byte* const to = header.data();
        store_big(to + batch_layout::base_offset, first.value());
        store_big(
            to + batch_layout::batch_length,
            static_cast<std::int32_t>(total_bytes - batch_prefix_bytes)
        );
        store_big(to + batch_layout::leader_epoch, std::int32_t{0});
        store_big(to + batch_layout::magic, batch_magic);
    }

    // What is known about the rot now that the next good offset is.
    Result<void> settle_rot(Offset next) {
        if (rot_.empty()) return {};
        if (rot_.size() == 1) {
            const ByteRange range = rot_.front();
            const std::uint64_t bytes = range.end - range.from;
            Buffer batch(std::min<std::uint64_t>(bytes, batch_bytes_max));
            const auto got = log_.read_at(range.from, batch);
            if (!got) return got.error();
            if (*got == bytes && try_to_mend(batch, range.from, next)) {
                rot_.clear();
                return {};
            }
        }
        count_rot();
        if (next > findings_.next) {
            findings_.lost.push_back({findings_.next, next});
            findings_.next = next;
        }
        return {};
    }

    void count_rot() {
        for (const ByteRange& range : rot_) {
            ++findings_.rotten;
            findings_.rotten_bytes += range.end - range.from;
        }
        rot_.clear();
    }

    // Whether the stretch is one batch that has all offsets up to `next`.
    bool try_to_mend(Buffer& batch, FilePosition from, Offset next) {
        if (batch.size() < batch_header_bytes) return false;
        fill_in(batch, findings_.next, batch.size());
        const auto header = check_batch(batch);
        if (!header || header->total_bytes != batch.size() || header->next_offset() != next) {
            return false;
        }
        KeptBatch kept{.from = from, .bytes = batch.size(), .first = findings_.next, .next = next};
        mend(kept, batch, findings_.next);
        findings_.next = next;
        findings_.kept.push_back(kept);
        return true;
    }

    File& log_;
    const SegmentToAudit& segment_;
    std::optional<Offset> end_;
    std::uint64_t bytes_ = 0;
    std::vector<ByteRange> rot_;  // since the last good batch
    SegmentFindings findings_;
};

// Collects small writes.
class PieceWriter {
public:
    explicit PieceWriter(File& file)
        : file_(file) {}

    Result<void> add(Bytes bytes) {
        append_bytes(piece_, bytes);
        return piece_.size() >= piece_bytes ? flush() : Result<void>{};
    }

    Result<void> flush() {
        if (piece_.empty()) return {};
        MILEPOST_TRY(file_.write_at(at_, piece_));
        at_ += piece_.size();
        piece_.clear();
        return {};
    }

    [[nodiscard]] FilePosition at() const { return at_; }

private:
    File& file_;
    FilePosition at_{0};
    Buffer piece_;
};

Result<void> check_written(File& file, FilePosition end, std::span<const KeptBatch> kept) {
    const Offset begin = kept.empty() ? Offset{0} : kept.front().first;
    BatchScanner scanner{file, {FilePosition{0}, end}, begin};
    for (const KeptBatch& each : kept) {
        const auto batch = scanner.next();
        if (!batch) return batch.error();
        const bool is_it = batch->has_value() && (*batch)->header.base_offset == each.first &&
                           (*batch)->header.next_offset() == each.next;
        if (!is_it) return make_error_code(boost::system::errc::io_error);
    }
    return {};
}

}  // namespace

Result<SegmentFindings> examine_segment(
    FileSystem& files,
    const SegmentToAudit& segment,
    std::optional<Offset> end
) {
    const auto log =
        files.open(segment_path(segment.folder, segment.base, SegmentFile::log), OpenMode::read);
    if (!log) return log.error();
    const auto bytes = (*log)->size();
    if (!bytes) return bytes.error();
    return SegmentExaminer{**log, segment, end}.run(*bytes);
}

Result<void> write_kept(
    FileSystem& files,
    const std::filesystem::path& source,
    const std::filesystem::path& path,
    std::span<const KeptBatch> kept
) {
    const auto from = files.open(source, OpenMode::read);
    if (!from) return from.error();
    const auto to = files.open(unfinished_repair(path), OpenMode::create);
    if (!to) return to.error();
    MILEPOST_TRY((*to)->truncate(0));
    PieceWriter writer{**to};
    Buffer batch;
    for (const KeptBatch& each : kept) {
        batch.resize(each.bytes);
        const auto got = (*from)->read_at(each.from, batch);
        if (!got) return got.error();
        if (*got != each.bytes) return make_error_code(boost::system::errc::io_error);
        if (each.header) std::copy(each.header->begin(), each.header->end(), batch.begin());
        MILEPOST_TRY(writer.add(batch));
    }
    MILEPOST_TRY(writer.flush());
    MILEPOST_TRY((*to)->sync());
    (*to)->forget_cached(FilePosition{0}, 0);  // so that the disk is asked, not the cache
    return check_written(**to, writer.at(), kept);
}

Result<IndexBytes> index_segment(
    FileSystem& files,
    const std::filesystem::path& log,
    Offset base,
    std::uint64_t bytes,
    bool is_sealed
) {
    const auto file = files.open(log, OpenMode::read);
    if (!file) return file.error();
    SegmentIndexes indexes{base};
    BatchScanner scanner{**file, {FilePosition{0}, FilePosition{bytes}}, base};
    for (;;) {
        const auto batch = scanner.next();
        if (!batch && !is_format_error(batch.error())) return batch.error();
        if (!batch || !batch->has_value()) break;  // behind it: a torn tail
        indexes.note((*batch)->header, (*batch)->position.value());
    }
    if (is_sealed) indexes.finish();
    return IndexBytes{std::move(indexes.offset_entries), std::move(indexes.time_entries)};
}

}  // namespace milepost::storage
