#pragma once

#include "storage/base/bytes.hpp"

#include <cstdint>

namespace milepost::storage {

// CRC-32C (Castagnoli, RFC 3720 appendix B.4), as Kafka's record batch v2 uses it.
// `crc32c_extend(crc32c(a), b) == crc32c(a followed by b)`.
[[nodiscard]] std::uint32_t crc32c(Bytes bytes);
[[nodiscard]] std::uint32_t crc32c_extend(std::uint32_t crc, Bytes bytes);

}  // namespace milepost::storage
