#pragma once

#include "storage/base/bytes.hpp"
#include "storage/base/result.hpp"
#include "storage/format/offsets.hpp"
#include "storage/fs/file_system.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <variant>

namespace milepost::storage {

// One group in the journal: storage/FORMAT.md, "Frame". Whole blocks; little-endian.
//
//   at  bytes
//    0  4  magic "MPFR"
//    4  4  header CRC-32C, seeded, over the bytes 8 to 47
//    8  4  payload CRC-32C, seeded, over the payload
//   12  2  version, 1
//   14  2  0
//   16  4  payload bytes
//   20  4  section count
//   24  4  generation of the ring
//   28  4  0
//   32  8  sequence
//   40  8  position of this frame in the file
//   48  …  payload: the sections, one after the other; then zeros to the end of the block
//
// A section: 2 type, 2 zero, 4 length of the body, body. Bodies:
//   records  2 topic length, topic, 4 partition, one record batch v2 (big-endian, as Kafka's)
//   session  2 client id length, client id, state
//
// The header has a CRC of its own so that the number of a torn frame is known, and so that a search
// for frames through hostile payload costs no more than 40 bytes of CRC a block.
inline constexpr std::uint32_t frame_magic = 0x5246504D;
inline constexpr std::uint16_t journal_version = 1;
inline constexpr std::size_t frame_header_bytes = 48;
inline constexpr std::size_t section_header_bytes = 8;
// A longer frame is not ours and not believed.
inline constexpr std::size_t frame_payload_bytes_max = std::size_t{64} * 1024 * 1024;

enum class SectionType : std::uint16_t { records = 1, session = 2 };

// What every CRC of one ring begins with: the log id and the ring's own random key, which is never
// shown anywhere, so that no payload can pose as a frame.
class JournalKey {
public:
    JournalKey(std::uint64_t log_id, std::uint64_t ring_key);

    [[nodiscard]] std::uint32_t crc(Bytes bytes) const;

private:
    std::uint32_t seed_ = 0;
};

// Where a frame belongs. A frame found anywhere else is not believed.
struct FramePlace {
    std::uint64_t sequence = 0;
    FilePosition position;
    std::uint32_t generation = 0;

    friend bool operator==(const FramePlace&, const FramePlace&) = default;
};

[[nodiscard]] constexpr std::size_t whole_blocks(std::size_t bytes) {
    return (bytes + block_bytes - 1) / block_bytes * block_bytes;
}

// The bytes of a frame on the disk.
[[nodiscard]] constexpr std::size_t frame_bytes(std::size_t payload_bytes) {
    return whole_blocks(frame_header_bytes + payload_bytes);
}

// What a section adds to the payload.
[[nodiscard]] constexpr std::size_t records_section_bytes(
    std::size_t topic_bytes,
    std::size_t batch_bytes
) {
    return section_header_bytes + 2 + topic_bytes + 4 + batch_bytes;
}

[[nodiscard]] constexpr std::size_t session_section_bytes(
    std::size_t client_id_bytes,
    std::size_t state_bytes
) {
    return section_header_bytes + 2 + client_id_bytes + state_bytes;
}

// Encodes a frame in place. The caller adds no more than fits: room().
class FrameWriter {
public:
    // `frame`: whole blocks.
    explicit FrameWriter(MutableBytes frame);

    // Adds a records section and returns the place for its batch, `batch_bytes` long.
    MutableBytes add_records(std::string_view topic, std::int32_t partition, std::size_t bytes);
    void add_session(std::string_view client_id, Bytes state);
    // Takes the sections of another frame, as they are, in place of its own.
    void take_sections(const FrameWriter& from);

    [[nodiscard]] std::size_t room() const { return frame_.size() - used_; }

    [[nodiscard]] std::size_t payload_bytes() const { return used_ - frame_header_bytes; }

    [[nodiscard]] std::uint32_t section_count() const { return section_count_; }

    [[nodiscard]] Bytes payload() const {
        return Bytes{frame_}.subspan(frame_header_bytes, payload_bytes());
    }

    // Writes the header and the zeros behind the payload. Returns the blocks to write.
    Bytes seal(const FramePlace& place, const JournalKey& key);

private:
    MutableBytes add_section(SectionType type, std::size_t body_bytes);

    MutableBytes frame_;
    std::size_t used_ = frame_header_bytes;
    std::uint32_t section_count_ = 0;
};

struct FrameHeader {
    FramePlace place;
    std::uint32_t payload_crc = 0;
    std::size_t payload_bytes = 0;
    std::uint32_t section_count = 0;

    [[nodiscard]] std::size_t total_bytes() const { return frame_bytes(payload_bytes); }
};

// The header that `bytes` begins with. JournalErrc::torn: no header of ours is here;
// newer_version: one is, of a newer version.
Result<FrameHeader> decode_frame_header(Bytes bytes, const JournalKey& key);
// The payload of that frame, which `bytes` begins with, whole and unchanged; else
// JournalErrc::torn.
Result<Bytes> check_frame_payload(Bytes bytes, const FrameHeader& header, const JournalKey& key);

// Views into the payload.
struct RecordsSection {
    std::string_view topic;
    std::int32_t partition = 0;
    Bytes batch;
};

struct SessionSection {
    std::string_view client_id;
    Bytes state;  // empty: the session is gone
};

using Section = std::variant<RecordsSection, SessionSection>;

// Walks the sections of one checked payload.
class SectionCursor {
public:
    SectionCursor(Bytes payload, std::uint32_t section_count)
        : rest_(payload)
        , left_(section_count) {}

    // nullopt after the last. JournalErrc::unknown_section, JournalErrc::malformed.
    Result<std::optional<Section>> next();

private:
    ByteReader rest_;
    std::uint32_t left_;
};

}  // namespace milepost::storage
