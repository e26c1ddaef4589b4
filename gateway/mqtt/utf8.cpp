#include "gateway/mqtt/utf8.hpp"

#include "gateway/mqtt/ascii_word.hpp"

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace milepost::mqtt {
namespace {

// Whether all eight bytes are U+0001 … U+007F.
bool is_plain_word(const char* at) {
    std::uint64_t word = 0;
    std::memcpy(&word, at, word_bytes);
    // Without top bits, adding 0x7F to a byte sets its top bit exactly if the byte is not 0, and
    // nothing carries into the next one.
    return (word & top_bits) == 0 && ((word + every_byte * 0x7F) & top_bits) == top_bits;
}

// The range that the byte behind a lead byte must lie in; Unicode 15, table 3-7. `length` 0: no
// sequence begins with that byte.
struct Lead {
    std::size_t length = 0;
    std::uint8_t second_min = 0x80;
    std::uint8_t second_max = 0xBF;
};

Lead lead_of(std::uint8_t byte) {
    if (byte >= 0xC2 && byte <= 0xDF) return {2, 0x80, 0xBF};
    if (byte == 0xE0) return {3, 0xA0, 0xBF};  // less would be an overlong form
    if (byte == 0xED) return {3, 0x80, 0x9F};  // more would be a surrogate
    if (byte >= 0xE1 && byte <= 0xEF) return {3, 0x80, 0xBF};
    if (byte == 0xF0) return {4, 0x90, 0xBF};
    if (byte >= 0xF1 && byte <= 0xF3) return {4, 0x80, 0xBF};
    if (byte == 0xF4) return {4, 0x80, 0x8F};  // more would be beyond U+10FFFF
    return {};
}

// Bytes of the character at the front of `text`, 0 if there is none that MQTT allows.
std::size_t character_bytes(std::string_view text) {
    const auto byte_at = [text](std::size_t i) {
        return static_cast<std::uint8_t>(text[i]);
    };
    const std::uint8_t first = byte_at(0);
    if (first < 0x80) return first == 0 ? 0 : 1;
    const Lead lead = lead_of(first);
    if (lead.length == 0 || text.size() < lead.length) return 0;
    if (byte_at(1) < lead.second_min || byte_at(1) > lead.second_max) return 0;
    for (std::size_t i = 2; i < lead.length; ++i) {
        if (byte_at(i) < 0x80 || byte_at(i) > 0xBF) return 0;
    }
    return lead.length;
}

}  // namespace

bool is_utf8(std::string_view text) {
    std::size_t at = 0;
    while (at < text.size()) {
        if (text.size() - at >= word_bytes && is_plain_word(text.data() + at)) {
            at += word_bytes;
            continue;
        }
        const std::size_t bytes = character_bytes(text.substr(at));
        if (bytes == 0) return false;
        at += bytes;
    }
    return true;
}

}  // namespace milepost::mqtt
