#include "storage/format/crc32c.hpp"

#include <isa-l/crc.h>

#include <algorithm>
#include <limits>

namespace milepost::storage {

std::uint32_t crc32c(Bytes bytes) {
    return crc32c_extend(0, bytes);
}

std::uint32_t crc32c_extend(std::uint32_t crc, Bytes bytes) {
    // ISA-L has the bare register: the inversions before and after are ours. It takes an int for
    // the length and a mutable pointer, through which it only reads.
    constexpr std::size_t piece_bytes_max = std::numeric_limits<int>::max();
    std::uint32_t state = ~crc;
    while (!bytes.empty()) {
        const Bytes piece = bytes.first(std::min(bytes.size(), piece_bytes_max));
        auto* from = const_cast<std::byte*>(piece.data());  // NOLINT(*-const-cast)
        state = ::crc32_iscsi(
            reinterpret_cast<unsigned char*>(from),
            static_cast<int>(piece.size()),
            state
        );
        bytes = bytes.subspan(piece.size());
    }
    return ~state;
}

}  // namespace milepost::storage
