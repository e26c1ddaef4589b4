#include "gateway/machine_id.hpp"

#include "storage/base/bytes.hpp"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <array>
#include <charconv>
#include <fstream>
#include <string>

namespace milepost {

namespace {

constexpr std::size_t id_bytes = 16;
constexpr std::size_t id_digits = 2 * id_bytes;
constexpr std::size_t sha256_bytes = 32;

// Milepost's own, random, never changed.
constexpr std::array<unsigned char, id_bytes> application_id{
    0xb1,
    0x9e,
    0x5f,
    0x3c,
    0x7a,
    0x42,
    0x4d,
    0x8e,
    0x96,
    0x0d,
    0x52,
    0xc8,
    0x1b,
    0xe7,
    0xa4,
    0x73};

}  // namespace

std::uint64_t hash_machine_id(std::string_view text) {
    if (text.ends_with('\n')) text.remove_suffix(1);
    if (text.size() != id_digits) return 0;
    std::array<unsigned char, id_bytes> id{};
    for (std::size_t i = 0; i < id_bytes; ++i) {
        const char* const begin = text.data() + 2 * i;
        const auto [end, error] = std::from_chars(begin, begin + 2, id[i], 16);
        if (error != std::errc{} || end != begin + 2) return 0;
    }
    std::array<unsigned char, sha256_bytes> digest{};
    unsigned int digest_bytes = 0;
    const auto* const made = ::HMAC(
        ::EVP_sha256(),
        id.data(),
        static_cast<int>(id.size()),
        application_id.data(),
        application_id.size(),
        digest.data(),
        &digest_bytes
    );
    if (made == nullptr || digest_bytes != digest.size()) return 0;
    const auto hash = load_little<std::uint64_t>(reinterpret_cast<const std::byte*>(digest.data()));
    return hash == 0 ? 1 : hash;
}

std::uint64_t machine_id_hash(const std::filesystem::path& file) {
    std::ifstream stream{file};
    std::string line;
    if (!std::getline(stream, line)) return 0;
    return hash_machine_id(line);
}

}  // namespace milepost
