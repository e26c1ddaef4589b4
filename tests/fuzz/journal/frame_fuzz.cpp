// Note: no input may make this crash, read outside of it, or take long.
#include "storage/base/check.hpp"
#include "storage/journal/frame.hpp"

#include <cstddef>
#include <cstdint>

using namespace milepost;
using namespace milepost::storage;

namespace {

const JournalKey key{1, 2};
constexpr std::size_t header_crc_at = 4;
constexpr std::size_t payload_crc_at = 8;

void walk(Bytes payload, std::uint32_t section_count) {
    SectionCursor cursor{payload, section_count};
    for (;;) {
        const auto section = cursor.next();
        if (!section || !section->has_value()) return;
    }
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
    if (size >= 4) walk(input.subspan(4), load_little<std::uint32_t>(input.data()));
    return 0;
}
