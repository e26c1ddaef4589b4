#include "storage/log/segment_reader.hpp"

#include "storage/base/units.hpp"
#include "storage/format/errc.hpp"
#include "storage/log/batch_scanner.hpp"
#include "storage/log/segment_name.hpp"

#include <algorithm>
#include <array>
#include <limits>
#include <utility>

namespace milepost::storage {

namespace {

// What was written last is likely to be read by others soon: by the forwarder, by who follows.
constexpr std::uint64_t fresh_bytes = 4 * mib;
// The largest piece of the page cache (a large folio).
constexpr std::uint64_t piece_bytes_max = 2 * mib;

// The offset of the first record of a good batch with that timestamp or a later one.
Result<std::optional<Offset>> find_in_batch(
    const ScannedBatch& batch,
    Timestamp timestamp,
    Buffer& scratch
) {
    auto cursor = RecordCursor::open(batch.bytes, batch.header, scratch);
    if (!cursor) return cursor.error();
    for (;;) {
        const auto record = cursor->next();
        if (!record) return record.error();
        if (!record->has_value()) return std::optional<Offset>{};
        if ((*record)->timestamp >= timestamp) return std::optional{(*record)->offset};
    }
}

}  // namespace

SegmentReader::SegmentReader(Offset base, std::unique_ptr<File> log, ReadPacer* pacer)
    : base_(base)
    , log_(std::move(log))
    , pacer_(pacer) {}

Result<std::unique_ptr<SegmentReader>> SegmentReader::open(
    FileSystem& files,
    const std::filesystem::path& folder,
    Offset base,
    ReadPacer* pacer
) {
    auto log = files.open(segment_path(folder, base, SegmentFile::log), OpenMode::read);
    if (!log) return log.error();
    (*log)->read_only_what_is_asked();
    std::unique_ptr<SegmentReader> reader{new SegmentReader{base, std::move(*log), pacer}};
    const auto open_index = [&](SegmentFile kind) {
        auto file = files.open(segment_path(folder, base, kind), OpenMode::read);
        return file ? std::move(*file) : nullptr;
    };
    reader->offset_file_ = open_index(SegmentFile::offset_index);
    reader->time_file_ = open_index(SegmentFile::time_index);
    reader->offsets_ = OffsetIndex{reader->offset_file_.get()};
    reader->times_ = TimeIndex{reader->time_file_.get()};
    return reader;
}

Result<std::optional<BatchHeader>> SegmentReader::header_at(FilePosition at, FilePosition end) {
    if (at >= end) return std::optional<BatchHeader>{};
    std::array<std::byte, batch_header_bytes> bytes{};
    const auto got = log_->read_at(at, bytes);
    if (!got) return got.error();
    const auto header = peek_batch_header(Bytes{bytes}.first(*got));
    if (!header) return header.error();
    if (header->total_bytes > end - at) return FormatErrc::short_read;
    return std::optional{*header};
}

FilePosition SegmentReader::start_for(Offset offset, FilePosition end) {
    {
        const std::scoped_lock lock{last_mutex_};
        if (last_next_ == offset && last_end_ <= end) return last_end_;
    }
    constexpr std::int64_t relative_max = std::numeric_limits<std::uint32_t>::max();
    const std::int64_t relative = offset - base_;
    if (relative <= 0) return FilePosition{0};
    const auto entry = offsets_.before(static_cast<std::uint32_t>(std::min(relative, relative_max))
    );
    if (!entry) return FilePosition{0};
    const FilePosition at{entry->position};
    const auto header = header_at(at, end);
    const bool is_right = header && header->has_value() &&
                          (*header)->last_offset() == base_ + entry->relative_offset;
    return is_right ? at : FilePosition{0};
}

Result<std::optional<SegmentReader::Place>> SegmentReader::walk_to(
    Offset offset,
    FilePosition at,
    FilePosition end
) {
    for (;;) {
        const auto header = header_at(at, end);
        if (!header) return header.error();
        if (!header->has_value()) return std::optional<Place>{};
        if ((*header)->last_offset() >= offset) return std::optional{Place{at, **header}};
        at += (*header)->total_bytes;
    }
}

Result<SegmentRead> SegmentReader::read(
    Offset from,
    std::size_t bytes_max,
    FilePosition end,
    Buffer& to
) {
    const FilePosition start = start_for(from, end);
    const auto place = walk_to(from, start, end);
    if (!place && !is_format_error(place.error())) return place.error();
    if (place && !place->has_value()) return SegmentRead{.first = from, .next = from};
    // A batch behind the asked offset, where that may be rot as well as a hole, is looked at twice.
    if (place && ((*place)->header.base_offset <= from || from < base_)) {
        const std::size_t before = to.size();
        const auto taken = take(**place, bytes_max, end, to);
        if (taken || !is_format_error(taken.error())) return taken;
        to.resize(before);
    }
    return scan_for(from, start, end, to);
}

Result<SegmentRead> SegmentReader::take(
    const Place& place,
    std::size_t bytes_max,
    FilePosition end,
    Buffer& to
) {
    const std::uint64_t left = end - place.position;
    const auto wanted = static_cast<std::size_t>(
        std::min<std::uint64_t>(left, std::max(bytes_max, place.header.total_bytes))
    );
    const std::size_t before = to.size();
    to.resize(before + wanted);
    const auto got = read_in_pieces(place.position, MutableBytes{to}.subspan(before), end);
    if (!got) {
        to.resize(before);
        return got.error();
    }
    SegmentRead result{.first = place.header.base_offset, .next = place.header.base_offset};
    std::size_t good = 0;
    for (Bytes rest = Bytes{to}.subspan(before, *got); !rest.empty();) {
        const auto header = check_batch(rest);
        if (!header) {
            if (good == 0) return header.error();
            break;  // cut off by bytes_max, or rot: the next read begins there
        }
        if (header->base_offset != result.next) break;
        good += header->total_bytes;
        result.next = header->next_offset();
        rest = rest.subspan(header->total_bytes);
    }
    to.resize(before + good);
    if (good == 0) return FormatErrc::short_read;
    forget_history(place.position, good, end);
    const std::scoped_lock lock{last_mutex_};
    last_next_ = result.next;
    last_end_ = place.position + good;
    return result;
}

Result<std::size_t> SegmentReader::read_in_pieces(
    FilePosition at,
    MutableBytes into,
    FilePosition end
) {
    std::size_t done = 0;
    while (done < into.size()) {
        // What is fresh is in the page cache.
        const bool is_history = at + done + fresh_bytes <= end;
        const std::size_t most = is_history && pacer_ != nullptr ? pacer_->wait_for_turn()
                                                                 : ReadPacer::alone_bytes;
        const MutableBytes rest = into.subspan(done);
        const auto got = log_->read_at(at + done, rest.first(std::min(rest.size(), most)));
        if (!got) return got.error();
        if (*got == 0) break;
        done += *got;
    }
    return done;
}

void SegmentReader::forget_history(FilePosition at, std::uint64_t bytes, FilePosition end) {
    if (at + bytes + fresh_bytes > end) return;
    // What the kernel holds in one piece goes only as a whole: this range and some before it.
    const FilePosition begin{at.value() > piece_bytes_max ? at.value() - piece_bytes_max : 0};
    log_->forget_cached(begin, at - begin + bytes);
}

Result<SegmentRead> SegmentReader::scan_for(
    Offset from,
    FilePosition at,
    FilePosition end,
    Buffer& to
) {
    SegmentRead result{.first = from, .next = from};
    BatchScanner scanner{*log_, {at, end}, base_};
    for (;;) {
        const auto batch = scanner.next();
        if (!batch) {
            if (!is_format_error(batch.error())) return batch.error();
            result.damaged = true;
            const auto found = scanner.resync();
            if (!found) return found.error();
            if (*found == BatchScanner::Resync::at_end) return result;
            continue;
        }
        if (!batch->has_value()) return result;
        const BatchHeader& header = (*batch)->header;
        if (header.last_offset() < from) {
            result.damaged = false;  // what was rotten lies before
            continue;
        }
        append_bytes(to, (*batch)->bytes);
        result.damaged = result.damaged && header.base_offset > from;
        result.first = header.base_offset;
        result.next = header.next_offset();
        return result;
    }
}

FilePosition SegmentReader::start_for(Timestamp timestamp, FilePosition end) {
    const auto entry = times_.before(timestamp);
    if (!entry) return FilePosition{0};
    const Offset last = base_ + entry->relative_offset;
    const auto place = walk_to(last, start_for(last, end), end);
    const bool is_right = place && place->has_value() && (*place)->header.last_offset() == last &&
                          (*place)->header.max_timestamp == entry->timestamp;
    return is_right ? (*place)->position : FilePosition{0};
}

Result<std::optional<Offset>> SegmentReader::find_timestamp(Timestamp timestamp, FilePosition end) {
    Buffer scratch;
    BatchScanner scanner{*log_, {start_for(timestamp, end), end}, base_};
    for (;;) {
        const auto batch = scanner.next();
        if (!batch) {
            if (!is_format_error(batch.error())) return batch.error();
            const auto found = scanner.resync();
            if (!found) return found.error();
            if (*found == BatchScanner::Resync::at_end) return std::optional<Offset>{};
            continue;
        }
        if (!batch->has_value()) return std::optional<Offset>{};
        const BatchHeader& header = (*batch)->header;
        if (header.is_control || header.max_timestamp < timestamp) continue;
        const auto offset = find_in_batch(**batch, timestamp, scratch);
        if (!offset && !is_format_error(offset.error())) return offset.error();
        if (offset && offset->has_value()) return offset;
    }
}

}  // namespace milepost::storage
