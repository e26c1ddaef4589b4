#pragma once

#include "storage/base/bytes.hpp"
#include "storage/base/result.hpp"

#include <cstddef>
#include <cstdint>

namespace milepost::storage {

// Codec numbers of record batch v2's attributes (bits 0-2).
enum class Codec : std::uint8_t { none = 0, gzip = 1, snappy = 2, lz4 = 3, zstd = 4 };

// Appends `from`, compressed, to `to`. none, lz4 (frame format with content size) and zstd are
// written; gzip and snappy are only read: FormatErrc::unsupported_codec.
Result<void> compress(Codec codec, Bytes from, Buffer& to);

// Appends what `from` holds to `to`; more than `limit_bytes` is FormatErrc::too_large, and nothing
// larger than that is ever allocated.
Result<void> decompress(Codec codec, Bytes from, std::size_t limit_bytes, Buffer& to);

}  // namespace milepost::storage
