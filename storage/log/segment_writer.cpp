#include "storage/log/segment_writer.hpp"

#include "storage/base/check.hpp"
#include "storage/format/errc.hpp"
#include "storage/log/segment_name.hpp"

#include <limits>
#include <utility>

namespace milepost::storage {

namespace {

// Kafka keeps relative offsets and positions in signed 32-bit integers.
constexpr std::int64_t relative_max = std::numeric_limits<std::int32_t>::max();

// Writes what was collected and forgets it; after an error it is kept for the next time.
Result<void> flush(File& file, std::uint64_t& file_bytes, Buffer& pending) {
    if (pending.empty()) return {};
    MILEPOST_TRY(file.write_at(FilePosition{file_bytes}, pending));
    file_bytes += pending.size();
    pending.clear();
    return {};
}

}  // namespace

SegmentWriter::SegmentWriter(FileSystem& files, std::filesystem::path folder, Offset base)
    : files_(files)
    , folder_(std::move(folder))
    , base_(base)
    , next_offset_(base)
    , indexes_(base) {}

Result<void> SegmentWriter::open_files(OpenMode mode) {
    const auto open = [&](SegmentFile kind, OpenMode how, std::unique_ptr<File>& file) {
        auto opened = files_.open(segment_path(folder_, base_, kind), how);
        if (!opened) return Result<void>{opened.error()};
        file = std::move(*opened);
        return Result<void>{};
    };
    MILEPOST_TRY(open(SegmentFile::log, mode, log_));
    // Index files of an older try may be there without their segment.
    MILEPOST_TRY(open(SegmentFile::offset_index, OpenMode::create, offset_file_));
    return open(SegmentFile::time_index, OpenMode::create, time_file_);
}

Result<std::unique_ptr<SegmentWriter>> SegmentWriter::create(
    FileSystem& files,
    const std::filesystem::path& folder,
    Offset base
) {
    std::unique_ptr<SegmentWriter> writer{new SegmentWriter{files, folder, base}};
    MILEPOST_TRY(writer->open_files(OpenMode::create));
    const auto bytes = writer->log_->size();
    if (!bytes) return bytes.error();
    if (*bytes > 0) return make_error_code(boost::system::errc::file_exists);
    MILEPOST_TRY(writer->offset_file_->truncate(0));
    MILEPOST_TRY(writer->time_file_->truncate(0));
    return writer;
}

Result<std::unique_ptr<SegmentWriter>> SegmentWriter::recover(
    FileSystem& files,
    const std::filesystem::path& folder,
    Offset base,
    std::uint64_t valid_bytes
) {
    std::unique_ptr<SegmentWriter> writer{new SegmentWriter{files, folder, base}};
    MILEPOST_TRY(writer->open_files(OpenMode::write));
    const auto size = writer->log_->size();
    if (!size) return size.error();
    if (*size < valid_bytes) return FormatErrc::short_read;
    auto recovered = recover_indexes(files, folder, base, *writer->log_, valid_bytes);
    if (!recovered) return recovered.error();
    if (*size > valid_bytes) MILEPOST_TRY(writer->log_->truncate(valid_bytes));
    MILEPOST_TRY(writer->offset_file_->truncate(recovered->offset_bytes));
    MILEPOST_TRY(writer->time_file_->truncate(recovered->time_bytes));
    writer->bytes_ = valid_bytes;
    writer->handed_over_bytes_ = valid_bytes / block_bytes * block_bytes;
    writer->next_offset_ = recovered->next_offset;
    writer->indexes_ = std::move(recovered->indexes);
    writer->offset_index_bytes_ = recovered->offset_bytes;
    writer->time_index_bytes_ = recovered->time_bytes;
    return writer;
}

Result<void> SegmentWriter::append(Bytes batches) {
    MILEPOST_CHECK(!sealed_);
    if (sync_error_) return sync_error_;
    Offset next = next_offset_;
    for (Bytes rest = batches; !rest.empty();) {
        const auto header = decode_batch_header(rest);
        if (!header) return header.error();
        if (header->base_offset < next || header->last_offset() - base_ > relative_max) {
            return FormatErrc::malformed_batch;
        }
        next = header->next_offset();
        rest = rest.subspan(header->total_bytes);
    }
    if (bytes_ + batches.size() > static_cast<std::uint64_t>(relative_max)) {
        return FormatErrc::too_large;
    }
    if (auto written = log_->write_at(FilePosition{bytes_}, batches); !written) {
        // Part of it may be there. The next append, or recovery, goes over it.
        static_cast<void>(log_->truncate(bytes_).has_value());
        return written;
    }
    for (Bytes rest = batches; !rest.empty();) {
        const auto header = peek_batch_header(rest);
        indexes_.note(*header, bytes_);
        bytes_ += header->total_bytes;
        rest = rest.subspan(header->total_bytes);
    }
    next_offset_ = next;
    // A block that is still filling would be written twice.
    begin_write_out(bytes_ / block_bytes * block_bytes);
    return {};
}

void SegmentWriter::expect_sync() {
    if (synced_bytes_ != bytes_) begin_write_out(bytes_);
}

void SegmentWriter::begin_write_out(std::uint64_t end) {
    if (end <= handed_over_bytes_) return;
    log_->begin_write_out(FilePosition{handed_over_bytes_}, end - handed_over_bytes_);
    handed_over_bytes_ = end / block_bytes * block_bytes;
}

Result<void> SegmentWriter::flush_indexes() {
    MILEPOST_TRY(flush(*offset_file_, offset_index_bytes_, indexes_.offset_entries));
    return flush(*time_file_, time_index_bytes_, indexes_.time_entries);
}

Result<void> SegmentWriter::sync() {
    if (sync_error_) return sync_error_;
    // Hints: what does not get into them now does at the next sync, or is made again at a start.
    static_cast<void>(flush_indexes().has_value());
    if (auto synced = log_->sync(); !synced) {
        sync_error_ = synced.error();
        return synced;
    }
    if (!name_is_durable_) {
        MILEPOST_TRY(files_.sync_directory(folder_));
        name_is_durable_ = true;
    }
    synced_bytes_ = bytes_;
    return {};
}

Result<void> SegmentWriter::seal() {
    indexes_.finish();
    MILEPOST_TRY(sync());
    sealed_ = true;
    // No reading depends on these two. But nobody makes the indexes of a segment that has ended
    // again, and a torn one would slow readers down and be damage to `milepost verify` for ever.
    MILEPOST_TRY(flush_indexes());
    MILEPOST_TRY(offset_file_->sync());
    return time_file_->sync();
}

bool SegmentWriter::fits(std::size_t batch_bytes, Offset last_offset, std::uint64_t bytes_max)
    const {
    if (last_offset - base_ > relative_max) return false;
    if (bytes_ == 0) return true;  // a batch larger than a segment gets one of its own
    return bytes_ + batch_bytes <= bytes_max &&
           bytes_ + batch_bytes <= static_cast<std::uint64_t>(relative_max);
}

Result<void> remove_segment(FileSystem& files, const std::filesystem::path& folder, Offset base) {
    for (const auto kind : {SegmentFile::offset_index, SegmentFile::time_index, SegmentFile::log}) {
        const auto removed = files.remove(segment_path(folder, base, kind));
        if (!removed && removed.error() != boost::system::errc::no_such_file_or_directory) {
            return removed.error();
        }
    }
    return {};
}

}  // namespace milepost::storage
