#pragma once

#include "storage/base/bytes.hpp"
#include "storage/base/result.hpp"
#include "storage/base/time.hpp"
#include "storage/base/units.hpp"
#include "storage/format/offsets.hpp"
#include "storage/journal/frame.hpp"

#include <cstdint>
#include <vector>

namespace milepost::storage {

struct CheckpointPartition {
    TopicPartition name;
    Offset start;
    Offset next;         // the segments hold everything below
    Offset active_base;  // base offset of the active segment
    std::uint64_t active_bytes = 0;

    friend bool operator==(const CheckpointPartition&, const CheckpointPartition&) = default;
};

// What the segments held, durably, at one moment; the log fills it in, except for what is marked.
struct Checkpoint {
    // Every frame below is in the segments, and its session deltas are in the Keeper.
    std::uint64_t first_needed_sequence = 1;
    FilePosition first_needed_position;  // the ring's
    // Every frame below was durable when the slot was written, so a missing one is rot. The ring's.
    std::uint64_t next_sequence = 1;
    Timestamp wall{0};
    std::int64_t monotonic_ms = 0;
    std::vector<CheckpointPartition> partitions;

    friend bool operator==(const Checkpoint&, const Checkpoint&) = default;
};

// One of the two areas that hold checkpoints in turn: storage/FORMAT.md, "Checkpoint slot". Only
// the blocks in use are written; little-endian.
//
//   at  bytes
//    0  4  magic "MPSL"
//    4  4  CRC-32C, seeded, over the bytes 8 to the end of the last partition
//    8  2  version, 1
//   10  2  0
//   12  4  bytes from 0 to the end of the last partition
//   16  8  slot sequence, from 1; even ones are in area 0, odd ones in area 1
//   24  8  first needed frame sequence
//   32  8  first needed frame position
//   40  8  next frame sequence
//   48  8  wall time, ms
//   56  8  monotonic time, ms
//   64  4  generation of the ring
//   68  4  number of partitions
//   72  …  partitions: 2 topic length, topic, 4 partition, 8 start, 8 next, 8 base offset of the
//   active
//          segment, 8 its bytes
inline constexpr std::uint32_t slot_magic = 0x4C53504D;
inline constexpr std::size_t slot_header_bytes = 72;
inline constexpr std::size_t slot_area_bytes = 128 * kib;
inline constexpr std::size_t slot_area_count = 2;

struct Slot {
    std::uint64_t sequence = 0;
    std::uint32_t generation = 0;
    Checkpoint checkpoint;
};

// Whole blocks. JournalErrc::slot_too_large.
Result<Buffer> encode_slot(const Slot& slot, const JournalKey& key);
// `area` begins with the slot. JournalErrc::torn, newer_version, malformed.
Result<Slot> decode_slot(Bytes area, const JournalKey& key);

}  // namespace milepost::storage
