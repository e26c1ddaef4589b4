#include "storage/journal/replay.hpp"

#include "tests/unit/storage/journal/ring_rig.hpp"

#include <catch2/catch.hpp>

#include <array>
#include <cerrno>

using namespace milepost;
using namespace milepost::storage;
using namespace milepost::test;

namespace {

const char* const path = "journal/ring-00000001";
constexpr std::array<std::size_t, 5> lengths{1, 2, 1, 3, 1};  // of the frames a to e, in blocks
constexpr std::uint64_t all_blocks = 8;

Result<Replay> replayed(ForgetfulDisk& disk) {
    auto file = disk.open(path, OpenMode::read);
    REQUIRE(file);
    return replay_ring(**file);
}

void make_sample(ForgetfulDisk& disk) {
    const auto ring = create_ring(disk);
    std::string text = "a";
    for (const std::size_t length : lengths) {
        commit(*ring, text, length);
        ++text[0];
    }
}

// The frame that a block of the ring belongs to, and where it begins.
std::pair<std::size_t, std::uint64_t> frame_at(std::uint64_t block) {
    std::uint64_t begin = 0;
    for (std::size_t i = 0; i < lengths.size(); ++i) {
        if (block < begin + lengths[i]) return {i, begin};
        begin += lengths[i];
    }
    return {lengths.size(), begin};
}

std::string texts_without(std::size_t frame) {
    std::string all;
    for (std::size_t i = 0; i < lengths.size(); ++i) {
        if (i == frame) continue;
        all += (all.empty() ? "" : " ") + std::string(1, static_cast<char>('a' + i));
    }
    return all;
}

}  // namespace

TEST_CASE("replay: a new ring is empty and begins at its beginning", "[replay]") {
    ForgetfulDisk disk;
    create_ring(disk, 16, 77);
    const auto replay = replayed(disk);
    REQUIRE(replay);
    CHECK(replay->header == ring_header(16));
    CHECK(replay->frames.empty());
    CHECK(replay->holes.empty());
    CHECK(replay->damaged_slots == 0);
    CHECK_FALSE(replay->torn_end);
    CHECK(replay->next_sequence == 77);
    CHECK(replay->next_position == FilePosition{ring_begin});
    CHECK(replay->written_bytes == 16 * block_bytes);
}

TEST_CASE("replay: frames come in the order of their sequences", "[replay]") {
    ForgetfulDisk disk;
    make_sample(disk);
    const auto replay = replayed(disk);
    REQUIRE(replay);
    CHECK(texts(*replay) == "a b c d e");
    CHECK(replay->next_sequence == 6);
    CHECK(replay->next_position == FilePosition{ring_begin + all_blocks * block_bytes});
    CHECK(replay->scanned_bytes == 16 * block_bytes);
}

TEST_CASE("replay: a journal cut at any byte gives the frames before the cut", "[replay]") {
    ForgetfulDisk disk;
    make_sample(disk);
    const DiskState whole = disk.snapshot();
    for (std::uint64_t cut = all_blocks * block_bytes; cut > 0; --cut) {
        const std::uint64_t blocks = (cut - 1) / block_bytes;
        if (cut % 97 == 0) disk.restore(whole);  // cutting from the end needs no fresh copy
        disk.cut(path, ring_begin + cut - 1);
        const auto replay = replayed(disk);
        REQUIRE(replay);
        const auto [frame, begin] = frame_at(blocks);
        REQUIRE(replay->frames.size() == frame);
        REQUIRE(replay->holes.empty());
        REQUIRE(replay->next_sequence == frame + 1);
        REQUIRE(replay->next_position == FilePosition{ring_begin + begin * block_bytes});
        REQUIRE(replay->torn_end == (blocks > begin));
    }
}

TEST_CASE("replay: a bit flipped in any byte has the outcome of the table", "[replay]") {
    ForgetfulDisk disk;
    make_sample(disk);
    for (std::uint64_t byte = 0; byte < all_blocks * block_bytes; ++byte) {
        const auto bit = static_cast<unsigned>(byte * 7 % 8);
        disk.flip_bit(path, ring_begin + byte, bit);
        const auto replay = replayed(disk);
        disk.flip_bit(path, ring_begin + byte, bit);
        REQUIRE(replay);
        const auto [frame, begin] = frame_at(byte / block_bytes);
        const std::uint64_t inside = byte - begin * block_bytes;
        if (inside >= lengths[frame] * block_bytes - 3) {
            REQUIRE(texts(*replay) == "a b c d e");  // the padding
            REQUIRE(replay->holes.empty());
        } else if (frame + 1 == lengths.size()) {
            REQUIRE(texts(*replay) == "a b c d");  // the end, torn or not
            REQUIRE(replay->holes.empty());
            REQUIRE(replay->next_sequence == 5);
            REQUIRE(replay->torn_end == (inside >= frame_header_bytes));
        } else {
            REQUIRE(texts(*replay) == texts_without(frame));
            REQUIRE(replay->holes == std::vector<SequenceHole>{{frame + 1, frame + 2}});
            REQUIRE(replay->next_sequence == 6);
        }
    }
}

TEST_CASE("replay: a bit flipped in the header or a slot changes nothing", "[replay]") {
    ForgetfulDisk disk;
    make_sample(disk);
    {
        const auto ring = open_ring(disk);
        REQUIRE(checkpoint(*ring, 3));
    }
    for (std::uint64_t byte = 0; byte < slots_begin; byte += 7) {
        disk.flip_bit(path, byte, 3);
        REQUIRE(texts(replayed(disk).value()) == "c d e");
        disk.flip_bit(path, byte, 3);
    }
    // The slots of sequence 1 (area 1) and 2 (area 0). With the newer one gone the older one
    // counts.
    for (std::uint64_t byte = 0; byte < slot_header_bytes; ++byte) {
        disk.flip_bit(path, slots_begin + byte, 3);
        const auto older = replayed(disk);
        REQUIRE(older);
        REQUIRE(texts(*older) == "a b c d e");
        REQUIRE(older->damaged_slots == 1);
        disk.flip_bit(path, slots_begin + slot_area_bytes + byte, 3);
        const auto none = replayed(disk);
        REQUIRE(none);
        REQUIRE(texts(*none) == "a b c d e");
        REQUIRE(none->damaged_slots == 2);
        REQUIRE_FALSE(none->slot.has_value());
        REQUIRE(none->holes.empty());
        disk.flip_bit(path, slots_begin + byte, 3);
        REQUIRE(texts(replayed(disk).value()) == "c d e");
        disk.flip_bit(path, slots_begin + slot_area_bytes + byte, 3);
    }
}

TEST_CASE("replay: the slot knows of frames at the end that rotted", "[replay]") {
    ForgetfulDisk disk;
    make_sample(disk);
    {
        const auto ring = open_ring(disk);
        REQUIRE(checkpoint(*ring, 2));
    }
    disk.flip_bit(path, ring_begin + 7 * block_bytes + 100, 0);  // e, the last
    const auto replay = replayed(disk);
    REQUIRE(replay);
    CHECK(texts(*replay) == "b c d");
    CHECK(replay->holes == std::vector<SequenceHole>{{5, 6}});
    CHECK(replay->next_sequence == 6);
    CHECK_FALSE(replay->torn_end);
}

TEST_CASE("replay: a begun frame proves the one before it durable", "[replay]") {
    ForgetfulDisk disk;
    make_sample(disk);
    disk.flip_bit(path, ring_begin + 4 * block_bytes + 100, 0);  // d
    disk.flip_bit(path, ring_begin + 7 * block_bytes + 100, 0);  // e: only its header is whole
    const auto replay = replayed(disk);
    REQUIRE(replay);
    CHECK(texts(*replay) == "a b c");
    CHECK(replay->holes == std::vector<SequenceHole>{{4, 5}});
    CHECK(replay->next_sequence == 5);
    CHECK(replay->torn_end);
}

TEST_CASE("replay: a frame that lies where it was not written is not believed", "[replay]") {
    ForgetfulDisk disk;
    make_sample(disk);
    auto file = disk.open(path, OpenMode::write);
    REQUIRE(file);
    Buffer block(block_bytes);
    REQUIRE((*file)->read_at(FilePosition{ring_begin + 7 * block_bytes}, block));
    REQUIRE((*file)->write_at(FilePosition{ring_begin + 9 * block_bytes}, block));
    REQUIRE((*file)->write_at(FilePosition{ring_begin + 7 * block_bytes}, Buffer(block_bytes)));
    const auto replay = replayed(disk);
    REQUIRE(replay);
    CHECK(texts(*replay) == "a b c d");
    CHECK(replay->next_sequence == 5);
}

TEST_CASE("replay: a payload that looks like a frame is none", "[replay]") {
    ForgetfulDisk disk;
    const auto ring = create_ring(disk);
    // A frame as a device would make one that knows the format, at the place where it will lie, but
    // not the key.
    Buffer forged(block_bytes);
    FrameWriter forger{forged};
    forger.add_session("forged", {});
    const FilePosition at{ring_begin + block_bytes};
    static_cast<void>(
        forger.seal({.sequence = 2, .position = at, .generation = 1}, JournalKey{1, 2})
    );
    auto slot = ring->reserve(payload_for(3));
    REQUIRE(slot);
    const std::size_t lead = block_bytes - frame_header_bytes - session_section_bytes(4, 0);
    Buffer state(lead);
    append_bytes(state, forged);
    slot->writer.add_session("true", state);
    REQUIRE(ring->commit(*slot));
    disk.flip_bit(path, ring_begin + 60, 0);  // so that the search goes through its blocks
    const auto replay = replayed(disk);
    REQUIRE(replay);
    CHECK(replay->frames.empty());
    CHECK(replay->next_sequence == 1);
}

TEST_CASE("replay: blocks that cannot be read are rot", "[replay]") {
    ForgetfulDisk disk;
    make_sample(disk);
    // 1 is the head, 2 the whole ring at once, then block by block: 4 is the first one of b.
    disk.fail(DiskCall::read, 2);
    CHECK(texts(replayed(disk).value()) == "a b c d e");
    disk.fail(DiskCall::read, 2, {.for_ever = true});
    const auto none = replayed(disk);
    REQUIRE(none);
    CHECK(none->frames.empty());
    disk.fail(DiskCall::read, 2, {.error = ENOMEM});
    CHECK(replayed(disk).error().value() == ENOMEM);
}

TEST_CASE("replay: without a whole header there is nothing to believe", "[replay]") {
    ForgetfulDisk disk;
    make_sample(disk);
    SECTION("both copies damaged") {
        disk.flip_bit(path, 20, 0);
        disk.flip_bit(path, block_bytes + 20, 0);
    }
    SECTION("an empty file") {
        disk.cut(path, 0);
    }
    CHECK(what(replayed(disk).error()) == JournalErrc::header_damaged);
}
