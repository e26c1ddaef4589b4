// Compressed bytes from anywhere: no more memory than the limit, and what is unpacked packs again.
// The first byte is the codec.
#include "storage/base/check.hpp"
#include "storage/base/units.hpp"
#include "storage/format/compression.hpp"

#include <cstddef>
#include <cstdint>

using namespace milepost;
using namespace milepost::storage;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const auto codec = static_cast<Codec>(data[0] % 5);
    const Bytes input = std::as_bytes(std::span{data, size}).subspan(1);
    constexpr std::size_t limit_bytes = 1 * mib;
    Buffer out;
    if (!decompress(codec, input, limit_bytes, out)) {
        MILEPOST_CHECK(out.empty());
    }
    MILEPOST_CHECK(out.size() <= limit_bytes);
    MILEPOST_CHECK(out.capacity() <= limit_bytes);
    for (const Codec written : {Codec::lz4, Codec::zstd}) {
        Buffer packed;
        MILEPOST_CHECK(compress(written, out, packed).has_value());
        Buffer again;
        MILEPOST_CHECK(decompress(written, packed, out.size(), again).has_value());
        MILEPOST_CHECK(same_bytes(out, again));
    }
    return 0;
}
