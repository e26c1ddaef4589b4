#pragma once

#include "storage/base/bytes.hpp"
#include "storage/base/result.hpp"
#include "storage/base/time.hpp"
#include "storage/format/compression.hpp"
#include "storage/format/offsets.hpp"
#include "storage/format/record.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>

namespace milepost::storage {

// Kafka's record batch, magic 2: storage/FORMAT.md, "Record batch".
inline constexpr std::size_t batch_header_bytes = 61;
// baseOffset and batchLength: what must be read to know how long a batch is.
inline constexpr std::size_t batch_prefix_bytes = 12;
// A longer batch is not ours and not believed.
inline constexpr std::size_t batch_bytes_max = std::size_t{8} * 1024 * 1024;
// Nor one whose records are larger than this when they are unpacked.
inline constexpr std::size_t batch_plain_bytes_max = std::size_t{64} * 1024 * 1024;
inline constexpr std::int8_t batch_magic = 2;

// Where each field begins.
namespace batch_layout {
inline constexpr std::size_t base_offset = 0;
inline constexpr std::size_t batch_length = 8;
inline constexpr std::size_t leader_epoch = 12;
inline constexpr std::size_t magic = 16;
inline constexpr std::size_t crc = 17;
inline constexpr std::size_t attributes = 21;
inline constexpr std::size_t last_offset_delta = 23;
inline constexpr std::size_t base_timestamp = 27;
inline constexpr std::size_t max_timestamp = 35;
inline constexpr std::size_t producer_id = 43;
inline constexpr std::size_t producer_epoch = 51;
inline constexpr std::size_t base_sequence = 53;
inline constexpr std::size_t record_count = 57;
inline constexpr std::size_t records = 61;
}  // namespace batch_layout

// Bits of the attributes.
namespace attribute {
inline constexpr unsigned codec_mask = 0x07;
inline constexpr unsigned log_append_time = 0x08;
inline constexpr unsigned transactional = 0x10;
inline constexpr unsigned control = 0x20;
inline constexpr unsigned delete_horizon = 0x40;
inline constexpr unsigned known_mask = 0x7F;
}  // namespace attribute

struct BatchHeader {
    Offset base_offset;
    std::size_t total_bytes = 0;  // with the 12 bytes of prefix
    std::int32_t leader_epoch = 0;
    std::uint32_t crc = 0;
    Codec codec = Codec::none;
    bool is_control = false;  // a broker's marker: no reading in it
    bool is_transactional = false;
    bool is_log_append_time = false;  // every record has max_timestamp
    std::int32_t last_offset_delta = 0;
    Timestamp base_timestamp;
    Timestamp max_timestamp;
    std::int32_t record_count = 0;

    [[nodiscard]] Offset last_offset() const { return base_offset + last_offset_delta; }

    [[nodiscard]] Offset next_offset() const { return base_offset + last_offset_delta + 1; }
};

// The header of the batch that `bytes` begins with, of which only the header needs to be there.
// Checks the fields against each other.
Result<BatchHeader> peek_batch_header(Bytes bytes);

// The header of the batch that `bytes` begins with. Checks the fields against each other and that
// the whole batch is there (FormatErrc::short_read otherwise: a torn tail), not the CRC.
Result<BatchHeader> decode_batch_header(Bytes bytes);

// decode_batch_header plus the CRC over attributes to end: FormatErrc::checksum_mismatch.
Result<BatchHeader> check_batch(Bytes bytes);

// Walks the records of one checked batch, decompressing at most once into `scratch`, which the
// records are views into (for an uncompressed batch, into `batch` itself) and which must outlive
// them. A control batch has no records: what is in it is between brokers.
class RecordCursor {
public:
    static Result<RecordCursor> open(Bytes batch, const BatchHeader& header, Buffer& scratch);

    // The next record; nullopt after the last. FormatErrc::malformed_record on bytes that are no
    // record.
    Result<std::optional<StoredRecord>> next();

private:
    RecordCursor(Bytes plain, const BatchHeader& header);

    ByteReader rest_;
    BatchHeader header_;
    std::int32_t given_ = 0;
    std::int32_t next_delta_ = 0;
};

}  // namespace milepost::storage
