#include "storage/format/crc32c.hpp"

#include <catch2/catch.hpp>

#include <string_view>

using namespace milepost;
using namespace milepost::storage;

TEST_CASE("crc32c: the check value of the polynomial is right", "[crc32c]") {
    CHECK(crc32c(as_bytes("123456789")) == 0xe3069283U);
    CHECK(crc32c({}) == 0);
    // RFC 3720, B.4: 32 bytes of zeros, 32 bytes of ones.
    CHECK(crc32c(Buffer(32, std::byte{0})) == 0x8a9136aaU);
    CHECK(crc32c(Buffer(32, std::byte{0xff})) == 0x62a8ab43U);
}

TEST_CASE("crc32c: pieces give what the whole gives", "[crc32c]") {
    constexpr std::string_view text = "a milepost is a numbered mark beside a road";
    for (std::size_t cut = 0; cut <= text.size(); ++cut) {
        const auto front = crc32c(as_bytes(text.substr(0, cut)));
        CHECK(crc32c_extend(front, as_bytes(text.substr(cut))) == crc32c(as_bytes(text)));
    }
}
