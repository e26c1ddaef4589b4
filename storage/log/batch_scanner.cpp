#include "storage/log/batch_scanner.hpp"

#include "storage/base/units.hpp"
#include "storage/format/errc.hpp"

#include <algorithm>
#include <cstring>

namespace milepost::storage {

namespace {

// Small enough to stay in the cache between the read and the checksum.
constexpr std::size_t read_bytes = 256 * kib;

}  // namespace

BatchScanner::BatchScanner(File& file, Range range, Offset expected)
    : file_(file)
    , position_(range.from)
    , end_(std::max(range.from, range.end))
    , expected_(expected) {}

// At least `count` bytes from `at` on, or what there is up to the end.
Result<Bytes> BatchScanner::look(FilePosition at, std::size_t count) {
    const std::uint64_t left = end_ > at ? end_ - at : 0;
    count = std::min<std::uint64_t>(count, left);
    const auto covers = [&] {
        return at >= buffer_at_ && (at - buffer_at_) + count <= buffer_used_;
    };
    if (!covers()) {
        const auto wanted = static_cast<std::size_t>(
            std::min<std::uint64_t>(left, std::max(count, read_bytes))
        );
        if (buffer_.size() < wanted) buffer_.resize(wanted);
        buffer_used_ = 0;
        const auto got = file_.read_at(at, MutableBytes{buffer_}.first(wanted));
        if (!got) return got.error();
        buffer_at_ = at;
        buffer_used_ = *got;
        if (*got < wanted) end_ = at + *got;  // the file is shorter than was said
        count = std::min(count, buffer_used_);
    }
    return Bytes{buffer_}.first(buffer_used_).subspan(at - buffer_at_);
}

// The batch there, if it is whole, right and in order; a FormatErrc if not; nullopt at the end.
Result<std::optional<BatchHeader>> BatchScanner::good_batch_at(FilePosition at) {
    auto bytes = look(at, batch_header_bytes);
    if (!bytes) return bytes.error();
    if (bytes->empty()) return std::optional<BatchHeader>{};
    const auto peeked = peek_batch_header(*bytes);
    if (!peeked) return peeked.error();
    if (peeked->base_offset < expected_) return FormatErrc::malformed_batch;
    bytes = look(at, peeked->total_bytes);
    if (!bytes) return bytes.error();
    const auto checked = check_batch(*bytes);
    if (!checked) return checked.error();
    return std::optional{*checked};
}

// What seems to be a header there; nullopt for other bytes.
Result<std::optional<BatchHeader>> BatchScanner::peek_at(FilePosition at) {
    const auto bytes = look(at, batch_header_bytes);
    if (!bytes) return bytes.error();
    const auto header = peek_batch_header(*bytes);
    return header ? std::optional{*header} : std::nullopt;
}

Result<std::optional<ScannedBatch>> BatchScanner::next() {
    const auto header = good_batch_at(position_);
    if (!header) return header.error();
    if (!header->has_value()) return std::optional<ScannedBatch>{};
    const BatchHeader& found = **header;
    if (found.base_offset > expected_) {
        // The base offset is outside the CRC. Where it seems to skip offsets, the batch behind it
        // tells a hole from a flipped bit.
        const auto follower = peek_at(position_ + found.total_bytes);
        if (!follower) return follower.error();
        if (follower->has_value() && (*follower)->base_offset < found.next_offset()) {
            return FormatErrc::malformed_batch;
        }
    }
    const auto bytes = look(position_, found.total_bytes);
    if (!bytes) return bytes.error();
    const ScannedBatch batch{position_, found, bytes->first(found.total_bytes)};
    position_ += found.total_bytes;
    expected_ = found.next_offset();
    return std::optional{batch};
}

Result<BatchScanner::Resync> BatchScanner::resync() {
    // The length of the rotten batch may still be right, and then it is the way that no payload
    // can mislead.
    const auto rotten = peek_at(position_);
    if (!rotten) return rotten.error();
    if (rotten->has_value()) {
        const FilePosition behind = position_ + (*rotten)->total_bytes;
        const auto follower = good_batch_at(behind);
        if (!follower && !is_format_error(follower.error())) return follower.error();
        if (behind == end_ || (follower && follower->has_value())) {
            position_ = behind;
            return behind == end_ ? Resync::at_end : Resync::found;
        }
    }
    const auto found = search(position_ + 1);
    if (!found) return found.error();
    position_ = found->value_or(end_);
    return found->has_value() ? Resync::found : Resync::at_end;
}

Result<std::optional<FilePosition>> BatchScanner::search(FilePosition from) {
    using batch_layout::magic;
    for (FilePosition at = from; at < end_;) {
        const auto bytes = look(at, batch_header_bytes);
        if (!bytes) return bytes.error();
        if (bytes->size() <= magic) break;
        const Bytes magics = bytes->subspan(magic);
        const void* hit = std::memchr(magics.data(), batch_magic, magics.size());
        if (hit == nullptr) {
            at += magics.size();
            continue;
        }
        at += static_cast<std::uint64_t>(static_cast<const std::byte*>(hit) - magics.data());
        const auto batch = good_batch_at(at);
        if (batch && batch->has_value()) return std::optional{at};
        if (!batch && !is_format_error(batch.error())) return batch.error();
        ++at;
    }
    return std::optional<FilePosition>{};
}

}  // namespace milepost::storage
