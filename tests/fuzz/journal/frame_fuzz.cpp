// A frame from anywhere: no bytes may crash its decoder or make it read outside of them, and what
// is understood is written the same.
#include "storage/base/check.hpp"
#include "storage/journal/frame.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <variant>

using namespace milepost;
using namespace milepost::storage;

namespace {

const JournalKey key{1, 2};
constexpr std::size_t header_crc_at = 4;
constexpr std::size_t payload_crc_at = 8;

void add(FrameWriter& writer, const Section& section) {
    if (const auto* records = std::get_if<RecordsSection>(&section)) {
        const MutableBytes place =
            writer.add_records(records->topic, records->partition, records->batch.size());
        std::copy(records->batch.begin(), records->batch.end(), place.begin());
    } else if (const auto* session = std::get_if<SessionSection>(&section)) {
        writer.add_session(session->client_id, session->state);
    }
}

bool same_section(Bytes given, Bytes written) {
    // The two reserved bytes are not read.
    return given.size() == written.size() && same_bytes(given.first(2), written.first(2)) &&
           same_bytes(given.subspan(4), written.subspan(4));
}

void walk(Bytes payload, std::uint32_t section_count) {
    Buffer frame(frame_bytes(payload.size()));
    FrameWriter writer{frame};
    SectionCursor cursor{payload, section_count};
    std::uint32_t sections = 0;
    for (std::size_t begin = 0;; begin = writer.payload_bytes()) {
        const auto section = cursor.next();
        if (!section) return;
        if (!section->has_value()) break;
        add(writer, **section);
        ++sections;
        const std::size_t bytes = writer.payload_bytes() - begin;
        MILEPOST_CHECK(
            same_section(payload.subspan(begin, bytes), writer.payload().subspan(begin, bytes))
        );
    }
    MILEPOST_CHECK(sections == section_count && writer.payload_bytes() == payload.size());
}

// Frames with right checksums, so that what is behind them is reached too.
void seal(Buffer& bytes) {
    if (bytes.size() < frame_header_bytes) return;
    store_little(bytes.data(), frame_magic);
    store_little(bytes.data() + 16, static_cast<std::uint32_t>(bytes.size() - frame_header_bytes));
    store_little(bytes.data() + payload_crc_at, key.crc(Bytes{bytes}.subspan(frame_header_bytes)));
    store_little(bytes.data() + header_crc_at, key.crc(Bytes{bytes}.subspan(8, 40)));
    bytes.resize(whole_blocks(bytes.size()));
}

// Only the header's checksum is right: what it says about the payload is not.
void seal_header(Buffer& bytes) {
    if (bytes.size() < frame_header_bytes) return;
    store_little(bytes.data(), frame_magic);
    store_little(bytes.data() + header_crc_at, key.crc(Bytes{bytes}.subspan(8, 40)));
}

void decode(Bytes bytes, bool is_sealed) {
    const auto header = decode_frame_header(bytes, key);
    if (!header) return;
    const auto payload = check_frame_payload(bytes, *header, key);
    MILEPOST_CHECK(!is_sealed || payload.has_value());
    if (payload) walk(*payload, header->section_count);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const Bytes input = std::as_bytes(std::span{data, size});
    decode(input, false);
    Buffer sealed{input.begin(), input.end()};
    seal(sealed);
    decode(sealed, sealed.size() >= block_bytes);
    sealed.assign(input.begin(), input.end());
    seal_header(sealed);
    decode(sealed, false);
    if (size >= 4) walk(input.subspan(4), load_little<std::uint32_t>(input.data()));
    return 0;
}
