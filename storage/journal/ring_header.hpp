#pragma once

#include "storage/base/bytes.hpp"
#include "storage/base/result.hpp"
#include "storage/base/units.hpp"
#include "storage/fs/file_system.hpp"
#include "storage/journal/slot.hpp"

#include <cstdint>
#include <filesystem>
#include <vector>

namespace milepost::storage {

// The first block of a ring file, and a copy of it in the second: storage/FORMAT.md, "Ring file".
//
//   at  bytes
//    0  4  magic "MPRH"
//    4  4  CRC-32C, not seeded, over the bytes 8 to 4095
//    8  2  version, 1
//   10  2  0
//   12  4  generation
//   16  8  log id
//   24  8  ring key, random: with the log id the seed of every other CRC in the file
//   32  8  ring bytes
//   40  8  machine id hash
//   48  …  zeros
//
// Then, at 8192 and 139264, the two slot areas of 128 KiB, and from 270336 the ring.
inline constexpr std::uint32_t ring_magic = 0x4852504D;
inline constexpr std::size_t ring_header_copies = 2;
inline constexpr std::uint64_t slots_begin = ring_header_copies * block_bytes;
inline constexpr std::uint64_t ring_begin = slots_begin + slot_area_count * slot_area_bytes;
inline constexpr std::uint64_t ring_file_bytes_min = ring_begin;
// A longer ring is not ours and not believed.
inline constexpr std::uint64_t ring_bytes_max = 4 * gib;

struct RingHeader {
    std::uint64_t log_id = 0;
    std::uint64_t ring_key = 0;
    std::uint32_t generation = 1;
    std::uint64_t ring_bytes = 0;  // a multiple of block_bytes
    std::uint64_t machine_id_hash = 0;

    [[nodiscard]] JournalKey key() const { return {log_id, ring_key}; }

    friend bool operator==(const RingHeader&, const RingHeader&) = default;
};

// Unlike that of any other ring.
[[nodiscard]] std::uint64_t make_ring_key();
[[nodiscard]] std::uint64_t make_log_id();
// Both copies.
[[nodiscard]] Buffer encode_ring_header(const RingHeader& header);
// From both copies, the first that is whole. JournalErrc::header_damaged, newer_version.
Result<RingHeader> decode_ring_header(Bytes bytes);

// `ring-<8 digits>`, in the folder `journal`. While it is being made it has `.new` behind its name.
[[nodiscard]] std::filesystem::path ring_path(
    const std::filesystem::path& folder,
    std::uint32_t generation
);
// The generations that are there, rising; only the last one counts. Half-made rings are left out.
Result<std::vector<std::uint32_t>> ring_generations(
    FileSystem& files,
    const std::filesystem::path& folder
);

}  // namespace milepost::storage
