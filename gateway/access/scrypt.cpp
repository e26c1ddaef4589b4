#include "gateway/access/scrypt.hpp"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

#include <algorithm>
#include <stdexcept>

namespace milepost::access {

namespace {

constexpr std::size_t block_bytes = 128;        // of scrypt, times r
constexpr std::size_t memory_margin = 1 << 20;  // what OpenSSL counts besides N blocks

const unsigned char* in(const std::byte* bytes) {
    return reinterpret_cast<const unsigned char*>(bytes);
}

unsigned char* out(std::byte* bytes) {
    return reinterpret_cast<unsigned char*>(bytes);
}

std::size_t memory_of(const ScryptCost& cost) {
    return block_bytes * cost.r * ((std::size_t{1} << cost.log2_n) + cost.p + 2);
}

}  // namespace

bool is_affordable(const ScryptCost& cost) {
    constexpr std::uint32_t r_max = 64;
    return cost.log2_n >= scrypt_log2_n_min && cost.log2_n <= scrypt_log2_n_max && cost.r >= 1 &&
           cost.r <= r_max && cost.p >= 1 && cost.p <= scrypt_p_max &&
           block_bytes * cost.r * (std::size_t{1} << cost.log2_n) <= scrypt_memory_bytes_max;
}

std::optional<DerivedKey> scrypt(Bytes password, const Salt& salt, const ScryptCost& cost) {
    DerivedKey key{};
    const std::uint64_t memory = memory_of(cost) + memory_margin;
    const int done = ::EVP_PBE_scrypt(
        reinterpret_cast<const char*>(password.data()),
        password.size(),
        in(salt.data()),
        salt.size(),
        std::uint64_t{1} << cost.log2_n,
        cost.r,
        cost.p,
        memory,
        out(key.data()),
        key.size()
    );
    if (done != 1) return std::nullopt;
    return key;
}

bool same_key(const DerivedKey& left, const DerivedKey& right) {
    return ::CRYPTO_memcmp(left.data(), right.data(), left.size()) == 0;
}

void fill_random(MutableBytes bytes) {
    if (::RAND_bytes(out(bytes.data()), static_cast<int>(bytes.size())) != 1) {
        throw std::runtime_error{"no random bytes"};
    }
}

LoginKey keyed_hash(const Secret& secret, std::initializer_list<Bytes> pieces) {
    Buffer text;
    for (const Bytes piece : pieces) {
        append_little(text, static_cast<std::uint32_t>(piece.size()));
        append_bytes(text, piece);
    }
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned int digest_bytes = 0;
    const auto* made = ::HMAC(
        ::EVP_sha256(),
        secret.data(),
        static_cast<int>(secret.size()),
        in(text.data()),
        text.size(),
        digest.data(),
        &digest_bytes
    );
    wipe(text);
    if (made == nullptr) throw std::runtime_error{"no HMAC-SHA256"};
    LoginKey key;
    std::transform(digest.begin(), digest.begin() + key.size(), key.begin(), [](unsigned char c) {
        return std::byte{c};
    });
    return key;
}

void wipe(MutableBytes bytes) {
    ::OPENSSL_cleanse(bytes.data(), bytes.size());
}

}  // namespace milepost::access
