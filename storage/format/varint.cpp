#include "storage/format/varint.hpp"

#include <algorithm>

namespace milepost::storage {

namespace {

// The number in at most `bytes_max` bytes whose value has at most `bits` bits.
std::optional<std::uint64_t> read_groups(ByteReader& from, std::size_t bytes_max, unsigned bits) {
    const Bytes rest = from.rest();
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < std::min(bytes_max, rest.size()); ++i) {
        const auto group = std::to_integer<std::uint64_t>(rest[i]);
        const auto shift = static_cast<unsigned>(7 * i);
        const std::uint64_t low = group & 0x7FU;
        if (shift + 7 > bits && (low >> (bits - shift)) != 0) return std::nullopt;
        value |= low << shift;
        if (group < 0x80U) {
            from = ByteReader{rest.subspan(i + 1)};
            return value;
        }
    }
    return std::nullopt;
}

}  // namespace

std::optional<std::int64_t> read_long_varlong(ByteReader& from) {
    const auto value = read_groups(from, varlong_bytes_max, 64);
    if (!value) return std::nullopt;
    return unzigzag(*value);
}

std::optional<std::int32_t> read_long_varint(ByteReader& from) {
    const auto value = read_groups(from, varint_bytes_max, 32);
    if (!value) return std::nullopt;
    return static_cast<std::int32_t>(unzigzag(*value));
}

}  // namespace milepost::storage
