#pragma once

#include "storage/base/bytes.hpp"
#include "storage/format/crc32c.hpp"

#include <cstdint>

// Included before everything else into copies of storage's sources (see CMakeLists.txt): there a
// checksum that is to be ignored is 0, where it is written and where it is checked.
namespace milepost::test {

enum class IgnoredCrc : std::uint8_t { none, frame_header, frame_payload, slot, batch };

extern IgnoredCrc ignored_crc;

std::uint32_t journal_crc(std::uint32_t seed, Bytes bytes);
std::uint32_t batch_crc(Bytes bytes);

}  // namespace milepost::test

#define crc32c_extend(...) milepost::test::journal_crc(__VA_ARGS__)
#define crc32c(...)        milepost::test::batch_crc(__VA_ARGS__)
