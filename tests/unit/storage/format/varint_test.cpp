#include "storage/format/varint.hpp"

#include <catch2/catch.hpp>

#include <array>
#include <limits>
#include <vector>

using namespace milepost;
using namespace milepost::storage;

namespace {

Buffer encoded(std::int64_t value) {
    std::array<std::byte, varlong_bytes_max> bytes{};
    const std::byte* end = write_varlong(bytes.data(), value);
    return Buffer(static_cast<const std::byte*>(bytes.data()), end);
}

Buffer hex(const std::vector<unsigned>& values) {
    Buffer bytes;
    for (const unsigned value : values) {
        bytes.push_back(static_cast<std::byte>(value));
    }
    return bytes;
}

}  // namespace

TEST_CASE("varint: known numbers have Kafka's bytes", "[varint]") {
    CHECK(encoded(0) == hex({0x00}));
    CHECK(encoded(-1) == hex({0x01}));
    CHECK(encoded(1) == hex({0x02}));
    CHECK(encoded(63) == hex({0x7e}));
    CHECK(encoded(-64) == hex({0x7f}));
    CHECK(encoded(64) == hex({0x80, 0x01}));
    CHECK(encoded(-65) == hex({0x81, 0x01}));
    CHECK(encoded(std::numeric_limits<std::int32_t>::max()) == hex({0xfe, 0xff, 0xff, 0xff, 0x0f}));
}

TEST_CASE("varint: every edge comes back", "[varint]") {
    for (unsigned bit = 0; bit < 63; ++bit) {
        for (const std::int64_t nudge : {-1, 0, 1}) {
            for (const std::int64_t sign : {-1, 1}) {
                const std::int64_t value = sign * ((std::int64_t{1} << bit) + nudge);
                const Buffer bytes = encoded(value);
                CHECK(bytes.size() == varlong_bytes(value));
                ByteReader reader{bytes};
                CHECK(read_varlong(reader) == value);
                CHECK(reader.remaining() == 0);
            }
        }
    }
    for (const auto value :
         {std::numeric_limits<std::int64_t>::min(), std::numeric_limits<std::int64_t>::max()}) {
        ByteReader reader{encoded(value)};
        const Buffer bytes = encoded(value);
        reader = ByteReader{bytes};
        CHECK(read_varlong(reader) == value);
    }
    for (const auto value :
         {std::numeric_limits<std::int32_t>::min(), std::numeric_limits<std::int32_t>::max()}) {
        const Buffer bytes = encoded(value);
        CHECK(bytes.size() == varint_bytes_max);
        ByteReader reader{bytes};
        CHECK(read_varint(reader) == value);
    }
}

TEST_CASE("varint: a cut or too large number is refused and nothing is taken", "[varint]") {
    const std::vector<Buffer> cases{
        {},
        hex({0x80}),
        hex({0xff, 0xff, 0xff, 0xff}),
        hex({0xff, 0xff, 0xff, 0xff, 0x1f}),        // 33 bits
        hex({0x80, 0x80, 0x80, 0x80, 0x80, 0x00}),  // 6 bytes
    };
    for (const Buffer& bytes : cases) {
        ByteReader reader{bytes};
        CHECK_FALSE(read_varint(reader).has_value());
        CHECK(reader.remaining() == bytes.size());
    }
    const Buffer long_one(11, std::byte{0x80});
    ByteReader reader{long_one};
    CHECK_FALSE(read_varlong(reader).has_value());
    const Buffer too_large = hex({0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02}
    );  // 65 bits
    reader = ByteReader{too_large};
    CHECK_FALSE(read_varlong(reader).has_value());
}
