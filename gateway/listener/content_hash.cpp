#include "gateway/listener/content_hash.hpp"

#include <array>
#include <bit>
#include <cstddef>
#include <cstring>

namespace milepost::listener {

namespace {

__extension__ using Wide = unsigned __int128;

// Odd, and without a pattern: the first digits of the square roots of 2, 3 and 5 behind the point.
constexpr std::uint64_t key_1 = 0x6A09E667F3BCC909;
constexpr std::uint64_t key_2 = 0xBB67AE8584CAA73B;
constexpr std::uint64_t key_3 = 0x3C6EF372FE94F82B;

constexpr std::size_t word_bytes = 8;
constexpr std::size_t step_bytes = 2 * word_bytes;

// Every bit of the product depends on every bit below it; folding brings the upper half down.
std::uint64_t folded_product(std::uint64_t left, std::uint64_t right) {
    const Wide product = Wide{left} * right;
    return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64U);
}

// load_little() is a loop that gcc 12 leaves one at -O2, and this is the fast path.
std::uint64_t load_word(const std::byte* from) {
    if constexpr (std::endian::native != std::endian::little) {
        return load_little<std::uint64_t>(from);
    }
    std::uint64_t word = 0;
    std::memcpy(&word, from, sizeof word);
    return word;
}

std::uint64_t mix(std::uint64_t hash, const std::byte* step) {
    return folded_product(load_word(step) ^ key_1, load_word(step + word_bytes) ^ hash);
}

std::uint64_t extend(std::uint64_t hash, Bytes bytes) {
    hash ^= folded_product(bytes.size() ^ key_2, key_3);
    while (bytes.size() >= step_bytes) {
        hash = mix(hash, bytes.data()) + key_2;
        bytes = bytes.subspan(step_bytes);
    }
    if (bytes.empty()) return hash;
    std::array<std::byte, step_bytes> last{};
    std::memcpy(last.data(), bytes.data(), bytes.size());
    return mix(hash, last.data()) + key_2;
}

}  // namespace

std::uint64_t content_hash(std::string_view topic, Bytes payload) {
    const std::uint64_t hash = extend(extend(key_3, as_bytes(topic)), payload);
    return folded_product(hash ^ key_1, key_3);
}

}  // namespace milepost::listener
