#pragma once

#include "storage/base/result.hpp"
#include "storage/format/offsets.hpp"
#include "storage/fs/file_system.hpp"
#include "storage/fs/memory_region.hpp"
#include "storage/journal/frame.hpp"
#include "storage/journal/ring_header.hpp"
#include "storage/journal/slot.hpp"

#include <cstdint>
#include <optional>
#include <vector>

namespace milepost::storage {

struct ReplayedFrame {
    FramePlace place;
    std::size_t total_bytes = 0;
    std::uint32_t section_count = 0;
    Bytes payload;  // a view into the mirror
};

// Frames [first, end) were durable and are not readable any more: rot, or a disk that lies. What
// they held may still be in the segments; offsets tell.
struct SequenceHole {
    std::uint64_t first = 0;
    std::uint64_t end = 0;

    friend bool operator==(const SequenceHole&, const SequenceHole&) = default;
};

// What a frame says it held that is rot now, but whose header is whole: its own word, not covered
// by any CRC that holds. Good for offsets that must not be given again, not for records.
struct LostRecords {
    std::uint64_t sequence = 0;
    TopicPartition name;
    Offset base;
    Offset next;
};

// What a ring file holds. The outcome for every frame, with `first` from the newest whole slot:
//
//   sequence   frame     and                                  then
//   < first    any                                            left alone: it is in the segments
//   >= first   whole                                          replayed, in the order of sequences
//   >= first   not whole a higher one is known                a hole
//   >= first   not whole no higher one is known               the end; its number is given again
//
// "Known": a whole frame, a whole header (exactly one group is in flight: a begun frame proves the
// one before it durable), or the slot's next sequence.
struct Replay {
    RingHeader header;
    std::optional<Slot> slot;  // the newest whole one; none: first = 0
    int damaged_slots = 0;     // not whole, and not blank either
    bool torn_end = false;     // the last frame was begun and not finished
    std::vector<ReplayedFrame> frames;
    std::vector<SequenceHole> holes;
    std::vector<LostRecords> lost;  // of the holes, in the order of sequences
    std::uint64_t next_sequence = 1;
    FilePosition next_position;       // where the next frame goes, if it fits there
    std::uint64_t written_bytes = 0;  // of the ring: what the file has of it
    std::uint64_t scanned_bytes = 0;
    MemoryRegion
        mirror;  // the ring as it is on the disk, only what is replayed; `frames` point here
};

// Reads a ring file once, and writes nothing. Errors: JournalErrc::header_damaged, newer_version,
// the disk's.
Result<Replay> replay_ring(File& file);

}  // namespace milepost::storage
