#include "storage/format/record_batch.hpp"

#include "storage/format/crc32c.hpp"
#include "storage/format/errc.hpp"
#include "storage/format/varint.hpp"

#include <limits>

namespace milepost::storage {

namespace {

using namespace batch_layout;

static_assert(records == batch_header_bytes, "storage/FORMAT.md, record batch");
static_assert(crc + sizeof(std::uint32_t) == attributes, "the CRC covers what follows it");
static_assert(batch_length + sizeof(std::int32_t) == batch_prefix_bytes);

// The least that a record takes: length, attributes, two deltas, two lengths, header count.
constexpr std::size_t record_bytes_min = 7;

// nullopt for -1 (null); an error for what is neither null nor there.
Result<std::optional<Bytes>> read_nullable(ByteReader& from) {
    const auto length = read_varint(from);
    if (!length || *length < -1) return FormatErrc::malformed_record;
    if (*length == -1) return std::optional<Bytes>{};
    const auto bytes = from.bytes(static_cast<std::size_t>(*length));
    if (!bytes) return FormatErrc::malformed_record;
    return bytes;
}

Result<void> read_headers(ByteReader& body, StoredRecord& record) {
    const auto count = read_varint(body);
    // Two length bytes each: a count that cannot be there is not walked.
    if (!count || *count < 0 || static_cast<std::size_t>(*count) > body.remaining() / 2) {
        return FormatErrc::malformed_record;
    }
    record.header_count = static_cast<std::uint32_t>(*count);
    record.raw_headers = body.rest();
    for (std::int32_t i = 0; i < *count; ++i) {
        const auto name = read_nullable(body);
        if (!name || !name->has_value()) return FormatErrc::malformed_record;
        if (!read_nullable(body)) return FormatErrc::malformed_record;
    }
    return {};
}

}  // namespace

Result<BatchHeader> peek_batch_header(Bytes bytes) {
    if (bytes.size() < batch_prefix_bytes) return FormatErrc::short_read;
    const auto* at = bytes.data();
    const auto length = load_big<std::int32_t>(at + batch_length);
    constexpr auto length_min = static_cast<std::int32_t>(batch_header_bytes - batch_prefix_bytes);
    constexpr auto length_max = static_cast<std::int32_t>(batch_bytes_max - batch_prefix_bytes);
    if (length < length_min || length > length_max) return FormatErrc::malformed_batch;
    if (bytes.size() > magic && load_big<std::int8_t>(at + magic) != batch_magic) {
        return FormatErrc::unsupported_magic;
    }
    if (bytes.size() < batch_header_bytes) return FormatErrc::short_read;

    BatchHeader header;
    header.base_offset = Offset{load_big<std::int64_t>(at)};
    header.total_bytes = static_cast<std::size_t>(length) + batch_prefix_bytes;
    header.leader_epoch = load_big<std::int32_t>(at + leader_epoch);
    header.crc = load_big<std::uint32_t>(at + crc);
    header.last_offset_delta = load_big<std::int32_t>(at + last_offset_delta);
    header.base_timestamp = Timestamp{load_big<std::int64_t>(at + base_timestamp)};
    header.max_timestamp = Timestamp{load_big<std::int64_t>(at + max_timestamp)};
    header.record_count = load_big<std::int32_t>(at + record_count);

    const auto flags = load_big<std::uint16_t>(at + attributes);
    if ((flags & ~attribute::known_mask) != 0) return FormatErrc::malformed_batch;
    const unsigned codec = flags & attribute::codec_mask;
    if (codec > static_cast<unsigned>(Codec::zstd)) return FormatErrc::unsupported_codec;
    header.codec = static_cast<Codec>(codec);
    header.is_log_append_time = (flags & attribute::log_append_time) != 0;
    header.is_transactional = (flags & attribute::transactional) != 0;
    header.is_control = (flags & attribute::control) != 0;

    if (header.base_offset.value() < 0 || header.last_offset_delta < 0 ||
        header.base_offset.value() >=
            std::numeric_limits<std::int64_t>::max() - header.last_offset_delta) {
        return FormatErrc::malformed_batch;
    }
    if (header.record_count < 0 || header.record_count - 1 > header.last_offset_delta) {
        return FormatErrc::malformed_batch;
    }
    return header;
}

Result<BatchHeader> decode_batch_header(Bytes bytes) {
    auto header = peek_batch_header(bytes);
    if (header && bytes.size() < header->total_bytes) return FormatErrc::short_read;
    return header;
}

Result<BatchHeader> check_batch(Bytes bytes) {
    auto header = decode_batch_header(bytes);
    if (!header) return header;
    const Bytes covered = bytes.first(header->total_bytes).subspan(attributes);
    if (crc32c(covered) != header->crc) return FormatErrc::checksum_mismatch;
    return header;
}

RecordCursor::RecordCursor(Bytes plain, const BatchHeader& header)
    : rest_(plain)
    , header_(header) {}

Result<RecordCursor> RecordCursor::open(Bytes batch, const BatchHeader& header, Buffer& scratch) {
    if (batch.size() < header.total_bytes || header.total_bytes < batch_header_bytes) {
        return FormatErrc::short_read;
    }
    if (header.is_control) {
        BatchHeader empty = header;
        empty.record_count = 0;
        return RecordCursor{{}, empty};
    }
    Bytes plain = batch.first(header.total_bytes).subspan(batch_header_bytes);
    if (header.codec != Codec::none) {
        scratch.clear();
        MILEPOST_TRY(decompress(header.codec, plain, batch_plain_bytes_max, scratch));
        plain = scratch;
    }
    if (static_cast<std::size_t>(header.record_count) > plain.size() / record_bytes_min) {
        return FormatErrc::malformed_batch;
    }
    return RecordCursor{plain, header};
}

Result<std::optional<StoredRecord>> RecordCursor::next() {
    if (given_ == header_.record_count) {
        if (rest_.remaining() != 0) return FormatErrc::malformed_record;
        return std::optional<StoredRecord>{};
    }
    const auto length = read_varint(rest_);
    if (!length || *length < 0) return FormatErrc::malformed_record;
    const auto whole = rest_.bytes(static_cast<std::size_t>(*length));
    if (!whole) return FormatErrc::malformed_record;

    ByteReader body{*whole};
    const auto record_attributes = body.big<std::int8_t>();  // not used by Kafka so far
    const auto timestamp_delta = read_varlong(body);
    const auto offset_delta = read_varint(body);
    if (!record_attributes || !timestamp_delta || !offset_delta)
        return FormatErrc::malformed_record;
    if (*offset_delta < next_delta_ || *offset_delta > header_.last_offset_delta) {
        return FormatErrc::malformed_record;
    }
    StoredRecord record;
    record.offset = header_.base_offset + *offset_delta;
    // Wraps around instead of overflowing: hostile bytes may say anything.
    record.timestamp = header_.is_log_append_time
                           ? header_.max_timestamp
                           : Timestamp{static_cast<std::int64_t>(
                                 static_cast<std::uint64_t>(header_.base_timestamp.value()) +
                                 static_cast<std::uint64_t>(*timestamp_delta)
                             )};
    const auto key = read_nullable(body);
    if (!key) return key.error();
    const auto value = read_nullable(body);
    if (!value) return value.error();
    record.key = *key;
    record.value = *value;
    MILEPOST_TRY(read_headers(body, record));
    if (body.remaining() != 0) return FormatErrc::malformed_record;
    next_delta_ = *offset_delta + 1;
    ++given_;
    return std::optional<StoredRecord>{record};
}

}  // namespace milepost::storage
