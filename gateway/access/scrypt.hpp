#pragma once

#include "storage/base/bytes.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>

// The cryptography of passwords; OpenSSL stands behind scrypt.cpp. Any thread.
namespace milepost::access {

// RFC 7914. Memory while it runs: 128 · 2^log2_n · r bytes.
struct ScryptCost {
    std::uint8_t log2_n = 14;
    std::uint32_t r = 8;
    std::uint32_t p = 1;

    friend bool operator==(const ScryptCost&, const ScryptCost&) = default;
};

// What a password file may ask for: 16 MiB and about 50 ms by default, 64 MiB at most, so that one
// verification at a time fits a machine of 512 MiB.
inline constexpr std::size_t scrypt_memory_bytes_max = std::size_t{64} * 1024 * 1024;
inline constexpr std::uint8_t scrypt_log2_n_min = 10;
inline constexpr std::uint8_t scrypt_log2_n_max = 16;
inline constexpr std::uint32_t scrypt_p_max = 4;

// Whether the cost is within those limits.
[[nodiscard]] bool is_affordable(const ScryptCost& cost);

inline constexpr std::size_t salt_bytes = 16;
inline constexpr std::size_t derived_key_bytes = 32;
inline constexpr std::size_t login_key_bytes = 16;

using Salt = std::array<std::byte, salt_bytes>;
using DerivedKey = std::array<std::byte, derived_key_bytes>;
using LoginKey = std::array<std::byte, login_key_bytes>;
using Secret = std::array<std::byte, derived_key_bytes>;

// Takes as long as the cost says. nullopt: no memory for it.
[[nodiscard]] std::optional<DerivedKey> scrypt(
    Bytes password,
    const Salt& salt,
    const ScryptCost& cost
);
// In a time that does not depend on where they differ.
[[nodiscard]] bool same_key(const DerivedKey& left, const DerivedKey& right);
// Random bytes of the kernel's; throws if there are none.
void fill_random(MutableBytes bytes);
// HMAC-SHA256 of the pieces, each with its length before it, cut to 16 bytes.
[[nodiscard]] LoginKey keyed_hash(const Secret& secret, std::initializer_list<Bytes> pieces);
// Overwrites what is not needed any more, and is not optimised away.
void wipe(MutableBytes bytes);

}  // namespace milepost::access
