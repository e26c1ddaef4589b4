#include "storage/format/record_batch.hpp"

#include "storage/format/crc32c.hpp"
#include "storage/format/errc.hpp"
#include "storage/format/varint.hpp"

#include <limits>
#include <utility>

namespace milepost::storage {

namespace {

using namespace batch_layout;

static_assert(records == batch_header_bytes, "storage/FORMAT.md, record batch");
static_assert(crc + sizeof(std::uint32_t) == attributes, "the CRC covers what follows it");
static_assert(batch_length + sizeof(std::int32_t) == batch_prefix_bytes);

// The least that a record takes: length, attributes, two deltas, two lengths, header count.
constexpr std::size_t record_bytes_min = 7;

// Reads the fields of a record forward. One that is not there spoils all behind it, so that it is
// enough to ask at the end: decoding is a good part of what a record costs that is read back.
class FieldReader {
public:
    explicit FieldReader(Bytes bytes)
        : at_(bytes.data())
        , end_(bytes.data() + bytes.size()) {}

    [[nodiscard]] bool is_spoilt() const { return is_spoilt_; }

    [[nodiscard]] Bytes rest() const { return {at_, end_}; }

    [[nodiscard]] bool is_at_end() const { return at_ == end_; }

    void skip_byte() { (void)bytes(1); }

    std::int64_t varlong() { return number(read_varlong); }

    std::int32_t varint() { return static_cast<std::int32_t>(number(read_varint)); }

    Bytes bytes(std::int64_t count) {
        if (count < 0 || count > end_ - at_) return spoil();
        const Bytes taken{at_, static_cast<std::size_t>(count)};
        at_ += count;
        return taken;
    }

    // nullopt for -1 (null).
    std::optional<Bytes> nullable() {
        const auto length = varint();
        if (length == -1) return std::nullopt;
        return bytes(length);
    }

private:
    // Most numbers are of one byte, lengths often of two.
    template <typename Read>
    std::int64_t number(Read read_any) {
        if (end_ - at_ >= 2) {
            const auto first = std::to_integer<std::uint32_t>(at_[0]);
            const auto second = std::to_integer<std::uint32_t>(at_[1]);
            if (first < 0x80U) {
                ++at_;
                return unzigzag(first);
            }
            if (second < 0x80U) {
                at_ += 2;
                return unzigzag((first & 0x7FU) | (second << 7U));
            }
        }
        ByteReader rest{Bytes{at_, end_}};
        const auto value = read_any(rest);
        if (!value) {
            spoil();
            return 0;
        }
        at_ = rest.rest().data();
        return *value;
    }

    Bytes spoil() {
        is_spoilt_ = true;
        at_ = end_;
        return {};
    }

    const std::byte* at_;
    const std::byte* end_;
    bool is_spoilt_ = false;
};

// To the end of the record. False: that is not what is there.
bool read_headers(FieldReader& body, StoredRecord& record) {
    const auto count = body.varint();
    record.raw_headers = body.rest();
    // Two length bytes each: a count that cannot be there is not walked.
    if (count < 0 || static_cast<std::size_t>(count) > record.raw_headers.size() / 2) return false;
    record.header_count = static_cast<std::uint32_t>(count);
    for (std::int32_t i = 0; i < count && !body.is_spoilt(); ++i) {
        if (!body.nullable()) return false;
        (void)body.nullable();
    }
    return !body.is_spoilt() && body.is_at_end();
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
    FieldReader batch{rest_.rest()};
    const auto length = batch.varint();
    const Bytes whole = batch.bytes(length);
    FieldReader body{whole};
    body.skip_byte();  // attributes: not used by Kafka so far
    const auto timestamp_delta = body.varlong();
    const auto offset_delta = body.varint();
    std::optional<StoredRecord> read{std::in_place};
    StoredRecord& record = *read;
    record.key = body.nullable();
    record.value = body.nullable();
    if (batch.is_spoilt() || !read_headers(body, record)) return FormatErrc::malformed_record;
    if (offset_delta < next_delta_ || offset_delta > header_.last_offset_delta) {
        return FormatErrc::malformed_record;
    }
    record.offset = header_.base_offset + offset_delta;
    // Wraps around instead of overflowing: hostile bytes may say anything.
    record.timestamp = header_.is_log_append_time
                           ? header_.max_timestamp
                           : Timestamp{static_cast<std::int64_t>(
                                 static_cast<std::uint64_t>(header_.base_timestamp.value()) +
                                 static_cast<std::uint64_t>(timestamp_delta)
                             )};
    rest_ = ByteReader{batch.rest()};
    next_delta_ = offset_delta + 1;
    ++given_;
    return read;
}

}  // namespace milepost::storage
