#include "storage/journal/frame.hpp"

#include "storage/base/check.hpp"
#include "storage/format/crc32c.hpp"
#include "storage/journal/errc.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>

namespace milepost::storage {
namespace {

constexpr std::size_t header_crc_at = 4;
constexpr std::size_t header_crc_from = 8;
constexpr std::size_t payload_crc_at = 8;
constexpr std::size_t version_at = 12;
constexpr std::size_t reserved_at = 14;
constexpr std::size_t payload_bytes_at = 16;
constexpr std::size_t section_count_at = 20;
constexpr std::size_t generation_at = 24;
constexpr std::size_t reserved_2_at = 28;
constexpr std::size_t sequence_at = 32;
constexpr std::size_t position_at = 40;
static_assert(position_at + 8 == frame_header_bytes, "storage/FORMAT.md, Frame");
static_assert(header_crc_at + 4 == header_crc_from, "the header's CRC covers all that follows it");

constexpr std::size_t name_bytes_max = std::numeric_limits<std::uint16_t>::max();

// A name with its length before it.
std::size_t store_name(std::byte* to, std::string_view name) {
    MILEPOST_CHECK(name.size() <= name_bytes_max);
    store_little(to, static_cast<std::uint16_t>(name.size()));
    std::memcpy(to + 2, name.data(), name.size());
    return 2 + name.size();
}

std::optional<std::string_view> load_name(ByteReader& reader) {
    const auto length = reader.little<std::uint16_t>();
    if (!length) return std::nullopt;
    const auto name = reader.bytes(*length);
    if (!name) return std::nullopt;
    return as_text(*name);
}

Result<std::optional<Section>> decode_records(ByteReader body) {
    const auto topic = load_name(body);
    if (!topic) return make_error_code(JournalErrc::malformed);
    const auto partition = body.little<std::int32_t>();
    if (!partition) return make_error_code(JournalErrc::malformed);
    return Section{RecordsSection{*topic, *partition, body.rest()}};
}

Result<std::optional<Section>> decode_session(ByteReader body) {
    const auto client_id = load_name(body);
    if (!client_id) return make_error_code(JournalErrc::malformed);
    return Section{SessionSection{*client_id, body.rest()}};
}

}  // namespace

JournalKey::JournalKey(std::uint64_t log_id, std::uint64_t ring_key) {
    std::array<std::byte, 16> secret{};
    store_little(secret.data(), log_id);
    store_little(secret.data() + 8, ring_key);
    seed_ = crc32c(secret);
}

std::uint32_t JournalKey::crc(Bytes bytes) const {
    return crc32c_extend(seed_, bytes);
}

FrameWriter::FrameWriter(MutableBytes frame)
    : frame_(frame) {
    MILEPOST_CHECK(frame.size() >= block_bytes && frame.size() % block_bytes == 0);
}

MutableBytes FrameWriter::add_section(SectionType type, std::size_t body_bytes) {
    MILEPOST_CHECK(room() >= section_header_bytes && room() - section_header_bytes >= body_bytes);
    std::byte* header = frame_.data() + used_;
    store_little(header, static_cast<std::uint16_t>(type));
    store_little(header + 2, std::uint16_t{0});
    store_little(header + 4, static_cast<std::uint32_t>(body_bytes));
    const MutableBytes body = frame_.subspan(used_ + section_header_bytes, body_bytes);
    used_ += section_header_bytes + body_bytes;
    ++section_count_;
    return body;
}

MutableBytes FrameWriter::add_records(
    std::string_view topic,
    std::int32_t partition,
    std::size_t bytes
) {
    const MutableBytes body = add_section(
        SectionType::records,
        records_section_bytes(topic.size(), bytes) - section_header_bytes
    );
    const std::size_t name = store_name(body.data(), topic);
    store_little(body.data() + name, partition);
    return body.subspan(name + 4);
}

void FrameWriter::add_session(std::string_view client_id, Bytes state) {
    const MutableBytes body = add_section(
        SectionType::session,
        session_section_bytes(client_id.size(), state.size()) - section_header_bytes
    );
    const std::size_t name = store_name(body.data(), client_id);
    if (!state.empty()) std::memcpy(body.data() + name, state.data(), state.size());
}

void FrameWriter::take_sections(const FrameWriter& from) {
    MILEPOST_CHECK(frame_.size() >= from.used_);
    std::copy(from.payload().begin(), from.payload().end(), frame_.begin() + frame_header_bytes);
    used_ = from.used_;
    section_count_ = from.section_count_;
}

Bytes FrameWriter::seal(const FramePlace& place, const JournalKey& key) {
    MILEPOST_CHECK(payload_bytes() <= frame_payload_bytes_max);
    const MutableBytes blocks = frame_.first(whole_blocks(used_));
    std::byte* header = blocks.data();
    store_little(header, frame_magic);
    store_little(header + payload_crc_at, key.crc(payload()));
    store_little(header + version_at, journal_version);
    store_little(header + reserved_at, std::uint16_t{0});
    store_little(header + payload_bytes_at, static_cast<std::uint32_t>(payload_bytes()));
    store_little(header + section_count_at, section_count_);
    store_little(header + generation_at, place.generation);
    store_little(header + reserved_2_at, std::uint32_t{0});
    store_little(header + sequence_at, place.sequence);
    store_little(header + position_at, place.position.value());
    const Bytes covered = blocks.subspan(header_crc_from, frame_header_bytes - header_crc_from);
    store_little(header + header_crc_at, key.crc(covered));
    // What an earlier frame left in memory has no business on the disk twice.
    std::fill(blocks.begin() + static_cast<std::ptrdiff_t>(used_), blocks.end(), std::byte{0});
    return blocks;
}

Result<FrameHeader> decode_frame_header(Bytes bytes, const JournalKey& key) {
    if (bytes.size() < frame_header_bytes) return make_error_code(JournalErrc::torn);
    const std::byte* header = bytes.data();
    if (load_little<std::uint32_t>(header) != frame_magic) {
        return make_error_code(JournalErrc::torn);
    }
    const Bytes covered = bytes.subspan(header_crc_from, frame_header_bytes - header_crc_from);
    if (load_little<std::uint32_t>(header + header_crc_at) != key.crc(covered)) {
        return make_error_code(JournalErrc::torn);
    }
    if (load_little<std::uint16_t>(header + version_at) > journal_version) {
        return make_error_code(JournalErrc::newer_version);
    }
    FrameHeader decoded;
    decoded.payload_crc = load_little<std::uint32_t>(header + payload_crc_at);
    decoded.payload_bytes = load_little<std::uint32_t>(header + payload_bytes_at);
    decoded.section_count = load_little<std::uint32_t>(header + section_count_at);
    decoded.place.generation = load_little<std::uint32_t>(header + generation_at);
    decoded.place.sequence = load_little<std::uint64_t>(header + sequence_at);
    decoded.place.position = FilePosition{load_little<std::uint64_t>(header + position_at)};
    if (decoded.payload_bytes > frame_payload_bytes_max) return make_error_code(JournalErrc::torn);
    return decoded;
}

Result<Bytes> check_frame_payload(Bytes bytes, const FrameHeader& header, const JournalKey& key) {
    if (bytes.size() < header.total_bytes()) return make_error_code(JournalErrc::torn);
    const Bytes payload = bytes.subspan(frame_header_bytes, header.payload_bytes);
    if (key.crc(payload) != header.payload_crc) return make_error_code(JournalErrc::torn);
    return payload;
}

Result<std::optional<Section>> SectionCursor::next() {
    if (left_ == 0) {
        if (rest_.remaining() != 0) return make_error_code(JournalErrc::malformed);
        return std::optional<Section>{};
    }
    const auto type = rest_.little<std::uint16_t>();
    const auto reserved = rest_.little<std::uint16_t>();
    const auto body_bytes = rest_.little<std::uint32_t>();
    if (!type || !reserved || !body_bytes) return make_error_code(JournalErrc::malformed);
    const auto body = rest_.bytes(*body_bytes);
    if (!body) return make_error_code(JournalErrc::malformed);
    --left_;
    switch (static_cast<SectionType>(*type)) {
        case SectionType::records: return decode_records(ByteReader{*body});
        case SectionType::session: return decode_session(ByteReader{*body});
    }
    return make_error_code(JournalErrc::unknown_section);
}

}  // namespace milepost::storage
