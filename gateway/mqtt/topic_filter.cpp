#include "gateway/mqtt/topic_filter.hpp"

#include "gateway/mqtt/ascii_word.hpp"
#include "gateway/mqtt/utf8.hpp"

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace milepost::mqtt {
namespace {

constexpr std::string_view share_prefix = "$share/";

// `#` is 0x23 and `+` is 0x2B: without bit 3 they are the same byte.
constexpr std::uint64_t wildcards = every_byte * 0x23;
constexpr std::uint64_t all_but_bit_3 = every_byte * 0xF7;
static_assert((std::uint64_t{'+'} & 0xF7U) == '#');

// Whether all eight bytes are ASCII and neither U+0000 nor a wildcard: the fast path of every
// publish. See is_plain_word in utf8.cpp for the arithmetic.
bool is_plain_topic_word(const char* at) {
    std::uint64_t word = 0;
    std::memcpy(&word, at, word_bytes);
    const std::uint64_t not_zero = word + every_byte * 0x7F;
    const std::uint64_t not_wildcard = ((word & all_but_bit_3) ^ wildcards) + every_byte * 0x7F;
    return (word & top_bits) == 0 && (not_zero & not_wildcard & top_bits) == top_bits;
}

bool is_plain_topic(std::string_view topic) {
    if (topic.size() < word_bytes) return false;
    const char* at = topic.data();
    const char* last = at + topic.size() - word_bytes;
    for (; at < last; at += word_bytes) {
        if (!is_plain_topic_word(at)) return false;
    }
    return is_plain_topic_word(last);  // may overlap the word before it
}

// Takes the first level off the front of `rest`; `has_more` says whether a `/` followed it.
struct Level {
    std::string_view text;
    bool has_more = false;
};

Level take_level(std::string_view& rest) {
    const std::size_t slash = rest.find('/');
    const bool has_more = slash != std::string_view::npos;
    const Level level{rest.substr(0, slash), has_more};
    rest.remove_prefix(has_more ? slash + 1 : rest.size());
    return level;
}

bool has_wildcard(std::string_view text) {
    return text.find_first_of("+#") != std::string_view::npos;
}

bool are_wildcards_in_place(std::string_view filter) {
    while (true) {
        const Level level = take_level(filter);
        if (level.text.size() > 1 && has_wildcard(level.text)) return false;
        if (level.text == "#" && level.has_more) return false;
        if (!level.has_more) return true;
    }
}

}  // namespace

bool is_topic_name(std::string_view topic) {
    if (is_plain_topic(topic)) return true;
    return !topic.empty() && !has_wildcard(topic) && is_utf8(topic);
}

bool is_topic_filter(std::string_view filter) {
    return !filter.empty() && is_utf8(filter) && are_wildcards_in_place(filter);
}

bool is_shared(std::string_view filter) {
    return filter.starts_with(share_prefix);
}

bool is_shared_topic_filter(std::string_view filter) {
    if (!is_shared(filter) || !is_utf8(filter)) return false;
    filter.remove_prefix(share_prefix.size());
    const Level group = take_level(filter);
    return !group.text.empty() && !has_wildcard(group.text) && is_topic_filter(filter);
}

bool matches(std::string_view filter, std::string_view topic) {
    if (topic.starts_with('$') && (filter.starts_with('#') || filter.starts_with('+'))) {
        return false;
    }
    while (true) {
        const Level wanted = take_level(filter);
        if (wanted.text == "#") return true;
        const Level level = take_level(topic);
        if (wanted.text != "+" && wanted.text != level.text) return false;
        if (!level.has_more) return !wanted.has_more || filter == "#";
        if (!wanted.has_more) return false;
    }
}

}  // namespace milepost::mqtt
