// A ring is written, the input says what is damaged, and it is opened and used: no damage may crash
// the replay, and what it gives is whole and in order.
#include "storage/base/check.hpp"
#include "storage/journal/ring.hpp"
#include "tests/support/forgetful_disk.hpp"

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

using namespace milepost;
using namespace milepost::storage;
using namespace milepost::test;

namespace {

const char* const path = "journal/ring-00000001";

bool commit(Ring& ring, std::size_t blocks) {
    auto slot = ring.reserve(blocks * block_bytes - frame_header_bytes);
    if (!slot) return false;
    slot->writer.add_session("client", Buffer((blocks - 1) * block_bytes + 1));
    return ring.commit(*slot).has_value();
}

DiskState make() {
    ForgetfulDisk disk;
    MILEPOST_CHECK(disk.make_directory("journal").has_value());
    MILEPOST_CHECK(disk.sync_directory("").has_value());
    const RingHeader header{
        .log_id = 1,
        .ring_key = 2,
        .generation = 1,
        .ring_bytes = 16 * block_bytes};
    auto ring = Ring::create(disk, "journal", header, {});
    MILEPOST_CHECK(ring.has_value());
    for (std::uint64_t i = 1; i <= 12; ++i) {
        while (!commit(**ring, 1 + i % 4)) {
            Checkpoint checkpoint;
            checkpoint.first_needed_sequence = i - 2;
            MILEPOST_CHECK((*ring)->write_slot(checkpoint).has_value());
            (*ring)->free_before(i - 2);
        }
    }
    return disk.snapshot();
}

constexpr std::uint64_t file_bytes = ring_begin + 16 * block_bytes;

// One damage in four bytes: where, and in the low digits what. False: it does not stay.
bool damage(ForgetfulDisk& disk, std::uint32_t what) {
    const std::uint64_t where = what / 16;
    if (what % 16 == 14) {
        disk.cut(path, where % file_bytes);
    } else if (what % 16 == 15) {
        // A block, or all from one on, that the disk cannot read; now and then for another reason.
        const int error = where % 32 == 31 ? ENOMEM : EIO;
        disk.fail(DiskCall::read, 1 + where % 40, {.error = error, .for_ever = where % 3 == 0});
        return false;
    } else if (what % 2 == 0) {
        disk.flip_bit(path, where % file_bytes, what / 2 % 8);
    } else {
        // Half of the flips hit headers.
        disk.flip_bit(
            path,
            where % 4096 / 64 * block_bytes % file_bytes + where % 64,
            what / 2 % 8
        );
    }
    return true;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static const DiskState whole = make();
    ForgetfulDisk disk;
    disk.restore(whole);
    ByteReader input{std::as_bytes(std::span{data, size})};
    bool stays = true;
    while (const auto what = input.little<std::uint32_t>())
        stays = damage(disk, *what) && stays;
    auto ring = Ring::open(disk, "journal", 1);
    disk.clear_faults();
    if (!ring) return 0;
    const Replay& replay = (*ring)->replayed();
    for (const ReplayedFrame& frame : replay.frames) {
        SectionCursor cursor{frame.payload, frame.section_count};
        MILEPOST_CHECK(cursor.next().has_value());
        MILEPOST_CHECK(frame.place.sequence < replay.next_sequence);
    }
    const std::uint64_t next = (*ring)->next_sequence();
    if (!commit(**ring, 1) || !stays) return 0;
    const std::size_t count = replay.frames.size();
    disk.power_cut();
    auto again = Ring::open(disk, "journal", 1);
    MILEPOST_CHECK(again.has_value() && (*again)->replayed().frames.size() == count + 1);
    MILEPOST_CHECK((*again)->next_sequence() == next + 1);
    return 0;
}
