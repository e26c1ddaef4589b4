#pragma once

#include "storage/base/result.hpp"
#include "storage/base/units.hpp"
#include "storage/fs/file_system.hpp"
#include "storage/fs/memory_region.hpp"
#include "storage/journal/frame.hpp"
#include "storage/journal/replay.hpp"
#include "storage/journal/ring_header.hpp"
#include "storage/journal/slot.hpp"

#include <atomic>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>

namespace milepost::storage {

// A place for one frame, inside the ring's mirror. Valid until the ring's next reserve().
struct FrameSlot {
    FrameWriter writer;
    FramePlace place;
};

// The file that makes groups durable, and its mirror in memory: a frame is encoded where it stays,
// so what is durable and not yet in a segment is read from here without a copy, until free_before.
//
// Threads: reserve and commit: one at a time, "the committer". write_slot, free_before,
// prewrite_more, release_idle_memory: one at a time, "the checkpointer"; at the same time as the
// committer. The rest: any.
//
// Poisoned: after one failed write or sync nothing is written to this file again, every later call
// that would is JournalErrc::poisoned. The mirror stays readable, also the frame that failed.
class Ring {
public:
    // Written and synced before create() returns; the rest by prewrite_more().
    static constexpr std::uint64_t first_prewrite_bytes = 4 * mib;
    static constexpr std::uint64_t prewrite_step_bytes = mib;
    static constexpr std::uint64_t ring_bytes_min = 16 * block_bytes;

    // Makes the file of header.generation in `folder` (which exists), durably: a crash leaves
    // either nothing or a ring that begins with `first` and has nothing to replay. The next frame
    // is first.next_sequence. Leaves older generations alone: remove_older.
    static Result<std::unique_ptr<Ring>> create(
        FileSystem& files,
        const std::filesystem::path& folder,
        const RingHeader& header,
        Checkpoint first
    );

    // Opens and replays. What it finds is made durable before it returns: it may so far only be in
    // the page cache of a process that was killed, or of one whose last sync failed. Where that
    // fails the ring is poisoned: everything is in the mirror, and must be durable elsewhere before
    // anybody sees it.
    static Result<std::unique_ptr<Ring>> open(
        FileSystem& files,
        const std::filesystem::path& folder,
        std::uint32_t generation
    );

    // What open() found; `mirror` is empty, the frames point into the ring's. Empty after create().
    // The caller may clear it when it has taken what it needs.
    [[nodiscard]] Replay& replayed() { return replayed_; }

    // A place for a frame of up to `payload_bytes`, or nothing: the ring is full until free_before
    // or prewrite_more. A reservation that is not committed takes nothing.
    std::optional<FrameSlot> reserve(std::size_t payload_bytes);
    // Seals the frame and makes it durable. Blocks for the disk.
    Result<void> commit(FrameSlot& slot);

    // Makes a checkpoint durable; its fields marked as the ring's are filled in here. A failed
    // write is poison; JournalErrc::slot_too_large is not.
    Result<void> write_slot(Checkpoint checkpoint);
    // Gives the space of the frames below `sequence` back: nobody may read them in the mirror any
    // more. Not above the last slot's first_needed_sequence.
    void free_before(std::uint64_t sequence);
    // Writes one step of zeros and syncs it; nothing to do when prewritten_bytes() is
    // capacity_bytes(). An error that is no sync error (ENOSPC) is no poison: the ring stays as
    // long as it is, try again later.
    Result<void> prewrite_more();
    // Gives memory that holds no frame back to the system: for when traffic is low.
    void release_idle_memory();

    // Removes the rings of older generations and half-made ones.
    static Result<void> remove_older(
        FileSystem& files,
        const std::filesystem::path& folder,
        std::uint32_t generation
    );

    [[nodiscard]] const RingHeader& header() const { return header_; }

    [[nodiscard]] bool poisoned() const { return poisoned_.load(); }

    // What the first write or sync that failed said; none: it is not poisoned.
    [[nodiscard]] ErrorCode poison_error() const;

    // What the last slot says; 0: there is none. Thread: the checkpointer's.
    [[nodiscard]] std::uint64_t slot_first_needed() const { return slot_first_needed_; }

    // The sequence that the next commit gets.
    [[nodiscard]] std::uint64_t next_sequence() const;
    // Taken by frames that are not freed, with what wrapping wastes.
    [[nodiscard]] std::uint64_t used_bytes() const;

    [[nodiscard]] std::uint64_t capacity_bytes() const { return header_.ring_bytes; }

    [[nodiscard]] std::uint64_t prewritten_bytes() const { return prewritten_bytes_.load(); }

private:
    struct LiveFrame {
        std::uint64_t sequence;
        std::uint64_t at;  // in the ring area
        std::uint64_t bytes;
    };

    Ring(const RingHeader& header, MemoryRegion mirror);

    Result<void> make_file(FileSystem& files, const std::filesystem::path& path, Checkpoint first);
    Result<void> open_files(FileSystem& files, const std::filesystem::path& path, OpenMode mode);
    void take_over(Replay replay);
    Result<void> settle();
    Result<void> write_slot_area(const Slot& slot);
    // These three under the mutex.
    [[nodiscard]] bool is_in_ring_order() const;
    [[nodiscard]] bool is_in_use(std::uint64_t at) const;
    [[nodiscard]] std::optional<std::uint64_t> place_for(std::uint64_t bytes) const;
    ErrorCode poison(ErrorCode error);

    RingHeader header_;
    JournalKey key_;
    MemoryRegion mirror_;
    Replay replayed_;
    // Two open files: a failed write-back is reported once per open file, and the committer must
    // not miss one because the checkpointer's sync has seen it.
    std::unique_ptr<File> frame_file_;
    std::unique_ptr<File> slot_file_;
    std::uint64_t slot_sequence_ = 0;      // the checkpointer's
    std::uint64_t slot_first_needed_ = 0;  // the checkpointer's
    std::atomic<std::uint64_t> prewritten_bytes_{0};
    std::atomic<bool> poisoned_{false};

    mutable std::mutex mutex_;  // never held over I/O; guards what follows
    ErrorCode poison_error_;
    std::deque<LiveFrame> live_;
    std::uint64_t next_sequence_ = 1;
    std::uint64_t next_at_ = 0;
    std::uint64_t reserved_at_ = 0;
    std::uint64_t reserved_bytes_ = 0;
    std::uint64_t full_until_ = 0;  // nothing is reserved while frames below are live
};

}  // namespace milepost::storage
