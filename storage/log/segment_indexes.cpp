#include "storage/log/segment_indexes.hpp"

#include "storage/base/check.hpp"
#include "storage/format/errc.hpp"
#include "storage/format/index_entry.hpp"
#include "storage/log/batch_scanner.hpp"
#include "storage/log/offset_index.hpp"
#include "storage/log/segment_name.hpp"
#include "storage/log/time_index.hpp"

#include <array>
#include <limits>
#include <memory>
#include <optional>
#include <vector>

namespace milepost::storage {

namespace {

Result<std::optional<BatchHeader>> header_at(File& log, std::uint64_t at, std::uint64_t end) {
    std::array<std::byte, batch_header_bytes> bytes{};
    const auto got = log.read_at(FilePosition{at}, bytes);
    if (!got) return got.error();
    const auto header = peek_batch_header(Bytes{bytes}.first(*got));
    if (!header || at + header->total_bytes > end) return std::optional<BatchHeader>{};
    return std::optional{*header};
}

struct Entries {
    std::vector<OffsetEntry> offsets;
    std::vector<TimeEntry> times;
    bool whole = false;  // both files are there and nothing in them is implausible
};

// Entries for a segment of `end` bytes; none from a file that is missing or cannot be read.
Entries load(
    FileSystem& files,
    const std::filesystem::path& folder,
    Offset base,
    std::uint64_t end
) {
    Entries entries;
    auto offset_file =
        files.open(segment_path(folder, base, SegmentFile::offset_index), OpenMode::read);
    auto time_file =
        files.open(segment_path(folder, base, SegmentFile::time_index), OpenMode::read);
    if (!offset_file || !time_file) return entries;
    auto offsets = load_offset_index(**offset_file);
    auto times = load_time_index(**time_file);
    if (!offsets || !times) return entries;
    const std::size_t good_offsets = plausible_entries(*offsets, end);
    const std::size_t good_times =
        plausible_entries(*times, std::numeric_limits<std::uint32_t>::max());
    const auto offset_bytes = (*offset_file)->size();
    const auto time_bytes = (*time_file)->size();
    entries.whole = offset_bytes && *offset_bytes == good_offsets * offset_entry_bytes &&
                    time_bytes && *time_bytes == good_times * time_entry_bytes;
    offsets->resize(good_offsets);
    times->resize(good_times);
    entries.offsets = std::move(*offsets);
    entries.times = std::move(*times);
    return entries;
}

// Time entries whose batch is behind the end of the segment say nothing any more: only those up to
// the last offset entry's batch are kept, since every time entry is written with an offset entry or
// when the segment ends.
void drop_times_behind(Entries& entries) {
    if (entries.offsets.empty()) {
        entries.times.clear();
        return;
    }
    while (!entries.times.empty() &&
           entries.times.back().relative_offset > entries.offsets.back().relative_offset) {
        entries.times.pop_back();
    }
}

// From which position the walk must go to see the batch of the last time entry.
std::uint64_t walk_start(const Entries& entries) {
    std::uint64_t start = 0;
    for (const OffsetEntry& entry : entries.offsets) {
        if (entry.relative_offset > entries.times.back().relative_offset) break;
        start = entry.position;
    }
    return start;
}

// Goes on behind the entries by the batch headers alone; nullopt if they do not match the batches.
Result<std::optional<RecoveredIndexes>> go_on(
    const Entries& entries,
    Offset base,
    File& log,
    std::uint64_t end
) {
    const OffsetEntry& last = entries.offsets.back();
    const TimeEntry& last_time = entries.times.back();
    RecoveredIndexes recovered{.indexes = SegmentIndexes{base}};
    recovered.offset_bytes = entries.offsets.size() * offset_entry_bytes;
    recovered.time_bytes = entries.times.size() * time_entry_bytes;
    auto& state = recovered.indexes.state;
    state = {
        .indexed_position = last.position,
        .indexed_timestamp = last_time.timestamp,
        .max_timestamp = last_time.timestamp,
        .max_timestamp_offset = base + last_time.relative_offset,
    };
    bool saw_offset_entry = false;
    bool saw_time_entry = false;
    for (std::uint64_t at = walk_start(entries); at < end;) {
        const auto header = header_at(log, at, end);
        if (!header) return header.error();
        if (!header->has_value()) return std::optional<RecoveredIndexes>{};
        const BatchHeader& batch = **header;
        const std::int64_t relative = batch.last_offset() - base;
        if (at == last.position) saw_offset_entry = relative == last.relative_offset;
        if (relative == last_time.relative_offset) {
            saw_time_entry = batch.max_timestamp == last_time.timestamp;
        }
        if (at > last.position) {
            recovered.indexes.note(batch, at);
        } else if (batch.max_timestamp > state.max_timestamp) {
            return std::optional<RecoveredIndexes>{};  // it would have a time entry
        }
        recovered.next_offset = batch.next_offset();
        at += batch.total_bytes;
    }
    if (!saw_offset_entry || !saw_time_entry) return std::optional<RecoveredIndexes>{};
    return std::optional{std::move(recovered)};
}

Result<RecoveredIndexes> rebuild(Offset base, File& log, std::uint64_t end) {
    RecoveredIndexes recovered{.indexes = SegmentIndexes{base}};
    recovered.next_offset = base;
    recovered.rebuilt = true;
    BatchScanner scanner{log, {FilePosition{0}, FilePosition{end}}, base};
    for (;;) {
        const auto batch = scanner.next();
        if (!batch) {
            if (batch.error().category() != format_category()) return batch.error();
            const auto found = scanner.resync();
            if (!found) return found.error();
            if (*found == BatchScanner::Resync::at_end) return recovered;
            continue;
        }
        if (!batch->has_value()) return recovered;
        recovered.indexes.note((*batch)->header, (*batch)->position.value());
        recovered.next_offset = (*batch)->header.next_offset();
    }
}

Result<void> rewrite(FileSystem& files, const std::filesystem::path& path, Bytes bytes) {
    auto file = files.open(path, OpenMode::create);
    if (!file) return file.error();
    MILEPOST_TRY((*file)->truncate(0));
    if (!bytes.empty()) MILEPOST_TRY((*file)->write_at(FilePosition{0}, bytes));
    return {};
}

}  // namespace

std::uint32_t SegmentIndexes::relative(Offset offset) const {
    const std::int64_t distance = offset - base_;
    MILEPOST_CHECK(distance >= 0 && distance <= std::numeric_limits<std::int32_t>::max());
    return static_cast<std::uint32_t>(distance);
}

void SegmentIndexes::note(const BatchHeader& header, std::uint64_t position) {
    if (header.max_timestamp > state.max_timestamp) {
        state.max_timestamp = header.max_timestamp;
        state.max_timestamp_offset = header.last_offset();
    }
    if (position <= state.indexed_position + index_interval_bytes) return;
    append_bytes(
        offset_entries,
        encode(OffsetEntry{
            .relative_offset = relative(header.last_offset()),
            .position = static_cast<std::uint32_t>(position),
        })
    );
    state.indexed_position = position;
    add_time_entry();
}

void SegmentIndexes::add_time_entry() {
    if (state.max_timestamp <= state.indexed_timestamp) return;
    append_bytes(
        time_entries,
        encode(TimeEntry{
            .timestamp = state.max_timestamp,
            .relative_offset = relative(state.max_timestamp_offset),
        })
    );
    state.indexed_timestamp = state.max_timestamp;
}

void SegmentIndexes::finish() {
    add_time_entry();
}

Result<RecoveredIndexes> recover_indexes(
    FileSystem& files,
    const std::filesystem::path& folder,
    Offset base,
    File& log,
    std::uint64_t end
) {
    Entries entries = load(files, folder, base, end);
    drop_times_behind(entries);
    if (!entries.offsets.empty() && !entries.times.empty()) {
        auto recovered = go_on(entries, base, log, end);
        if (!recovered) return recovered.error();
        if (recovered->has_value()) return std::move(**recovered);
    }
    return rebuild(base, log, end);
}

Result<IndexState> mend_indexes(
    FileSystem& files,
    const std::filesystem::path& folder,
    Offset base,
    std::uint64_t end
) {
    auto log = files.open(segment_path(folder, base, SegmentFile::log), OpenMode::read);
    if (!log) return log.error();
    const Entries entries = load(files, folder, base, end);
    if (entries.whole) {
        if (end <= index_interval_bytes && entries.offsets.empty()) return IndexState::sound;
        if (!entries.offsets.empty() && !entries.times.empty()) {
            const auto header = header_at(**log, entries.offsets.back().position, end);
            if (!header) return header.error();
            const auto last = base + entries.offsets.back().relative_offset;
            if (header->has_value() && (*header)->last_offset() == last) return IndexState::sound;
        }
    }
    auto rebuilt = rebuild(base, **log, end);
    if (!rebuilt) return rebuilt.error();
    rebuilt->indexes.finish();
    MILEPOST_TRY(rewrite(
        files,
        segment_path(folder, base, SegmentFile::offset_index),
        rebuilt->indexes.offset_entries
    ));
    MILEPOST_TRY(rewrite(
        files,
        segment_path(folder, base, SegmentFile::time_index),
        rebuilt->indexes.time_entries
    ));
    return IndexState::mended;
}

}  // namespace milepost::storage
