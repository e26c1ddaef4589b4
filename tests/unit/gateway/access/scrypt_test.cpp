#include "gateway/access/scrypt.hpp"

#include "tests/unit/gateway/access/cheap.hpp"

#include <catch2/catch.hpp>

#include <string>

namespace milepost::access {

TEST_CASE("scrypt: another password, salt or cost is another key", "[access]") {
    Salt salt{};
    const auto key = scrypt(as_bytes("secret"), salt, cheap).value();
    CHECK(same_key(key, scrypt(as_bytes("secret"), salt, cheap).value()));
    CHECK_FALSE(same_key(key, scrypt(as_bytes("Secret"), salt, cheap).value()));
    CHECK_FALSE(same_key(key, scrypt(as_bytes("secret"), salt, {11, 1, 1}).value()));
    salt[15] = std::byte{1};
    CHECK_FALSE(same_key(key, scrypt(as_bytes("secret"), salt, cheap).value()));
}

// Made with Python's hashlib.scrypt.
TEST_CASE("scrypt: it is RFC 7914's", "[access]") {
    Salt salt{};
    for (std::size_t i = 0; i < salt.size(); ++i)
        salt[i] = static_cast<std::byte>(i);
    const auto key = scrypt(as_bytes("pleaseletmein"), salt, {14, 8, 1}).value();
    std::string hex;
    for (const std::byte byte : key) {
        constexpr std::string_view digits = "0123456789abcdef";
        hex += digits[std::to_integer<unsigned>(byte) >> 4U];
        hex += digits[std::to_integer<unsigned>(byte) & 0xFU];
    }
    CHECK(hex == "531604fe738df33ae62cd2b994bfe3f573ed28c0d9e5547f875b6413189ce59a");
}

TEST_CASE("scrypt: what a small machine cannot afford is refused", "[access]") {
    CHECK(is_affordable({}));
    CHECK(is_affordable({16, 8, 1}));
    CHECK_FALSE(is_affordable({17, 4, 1}));
    CHECK_FALSE(is_affordable({16, 9, 1}));
    CHECK_FALSE(is_affordable({9, 8, 1}));
    CHECK_FALSE(is_affordable({14, 0, 1}));
    CHECK_FALSE(is_affordable({14, 8, 0}));
    CHECK_FALSE(is_affordable({14, 8, 5}));
    CHECK_FALSE(is_affordable({255, 0xFFFFFFFF, 0xFFFFFFFF}));
}

TEST_CASE("scrypt: a keyed hash tells pieces apart, not only their bytes", "[access]") {
    Secret secret{};
    const auto key = keyed_hash(secret, {as_bytes("ab"), as_bytes("c")});
    CHECK(key == keyed_hash(secret, {as_bytes("ab"), as_bytes("c")}));
    CHECK(key != keyed_hash(secret, {as_bytes("a"), as_bytes("bc")}));
    fill_random(secret);
    CHECK(key != keyed_hash(secret, {as_bytes("ab"), as_bytes("c")}));
}

}  // namespace milepost::access
