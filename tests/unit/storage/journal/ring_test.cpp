#include "storage/journal/ring.hpp"

#include "storage/fs/posix_file_system.hpp"
#include "tests/support/temp_dir.hpp"
#include "tests/unit/storage/journal/ring_rig.hpp"

#include <catch2/catch.hpp>

#include <cerrno>
#include <deque>
#include <thread>

using namespace milepost;
using namespace milepost::storage;
using namespace milepost::test;

namespace {

const char* const path = "journal/ring-00000001";

std::string reopened_texts(ForgetfulDisk& disk) {
    return texts(open_ring(disk)->replayed());
}

}  // namespace

TEST_CASE("ring: what was committed is there after a power cut, in order", "[ring]") {
    ForgetfulDisk disk;
    {
        const auto ring = create_ring(disk, 16, 5);
        CHECK(ring->next_sequence() == 5);
        commit(*ring, "a");
        commit(*ring, "b", 3);
        CHECK(ring->next_sequence() == 7);
        CHECK(ring->used_bytes() == 4 * block_bytes);
    }
    disk.power_cut();
    const auto ring = open_ring(disk);
    CHECK(texts(ring->replayed()) == "a b");
    CHECK(ring->used_bytes() == 4 * block_bytes);
    commit(*ring, "c");
    disk.power_cut();
    CHECK(reopened_texts(disk) == "a b c");
}

TEST_CASE("ring: a frame is encoded where it stays", "[ring]") {
    ForgetfulDisk disk;
    const auto ring = create_ring(disk);
    auto slot = ring->reserve(100);
    REQUIRE(slot);
    const MutableBytes batch = slot->writer.add_records("t", 0, 5);
    std::fill(batch.begin(), batch.end(), std::byte{'x'});
    REQUIRE(ring->commit(*slot));
    commit(*ring, "other");
    CHECK(as_text(batch) == "xxxxx");
}

TEST_CASE("ring: a reservation that is not committed takes nothing", "[ring]") {
    ForgetfulDisk disk;
    const auto ring = create_ring(disk);
    const auto first = ring->reserve(payload_for(4));
    const auto second = ring->reserve(payload_for(1));
    REQUIRE(first);
    REQUIRE(second);
    CHECK(first->place == second->place);
    CHECK(ring->used_bytes() == 0);
}

TEST_CASE("ring: a frame never straddles the end", "[ring]") {
    ForgetfulDisk disk;
    const auto ring = create_ring(disk);
    commit(*ring, "a", 14);
    REQUIRE(checkpoint(*ring, 2));
    const auto slot = ring->reserve(payload_for(3));
    REQUIRE(slot);
    CHECK(slot->place.position == FilePosition{ring_begin});
    const auto small = ring->reserve(payload_for(2));
    REQUIRE(small);
    CHECK(small->place.position == FilePosition{ring_begin + 14 * block_bytes});
}

TEST_CASE("ring: full is full until frames are freed", "[ring]") {
    ForgetfulDisk disk;
    const auto ring = create_ring(disk);
    for (int i = 0; i < 16; ++i) {
        commit(*ring, "x");
    }
    CHECK(ring->used_bytes() == 16 * block_bytes);
    CHECK_FALSE(try_commit(*ring, "y").has_value());
    REQUIRE(checkpoint(*ring, 3));
    commit(*ring, "y", 2);
    CHECK_FALSE(try_commit(*ring, "z").has_value());
    CHECK_FALSE(ring->reserve(payload_for(17)).has_value());
    REQUIRE(checkpoint(*ring, 18));
    CHECK(ring->used_bytes() == 0);
    commit(*ring, "z", 16);
}

TEST_CASE("ring: it goes round, and every lap can be replayed", "[ring]") {
    ForgetfulDisk disk;
    SeededRandom random{3};
    auto ring = create_ring(disk, 24);
    std::deque<std::pair<std::uint64_t, std::string>> live;
    std::uint64_t sequence = 1;
    for (int i = 0; i < 600; ++i) {
        const std::string text = std::to_string(sequence);
        const auto committed = try_commit(*ring, text, 1 + random.below(5));
        if (committed) {
            REQUIRE(*committed);
            live.emplace_back(sequence++, text);
        } else {
            const std::size_t freed = 1 + random.below(live.size());
            live.erase(live.begin(), live.begin() + static_cast<std::ptrdiff_t>(freed));
            REQUIRE(checkpoint(*ring, live.empty() ? sequence : live.front().first));
        }
        if (i % 7 != 0) continue;
        disk.power_cut();
        ring = open_ring(disk);
        std::string expected;
        for (const auto& [number, name] : live) {
            expected += (expected.empty() ? "" : " ") + name;
        }
        REQUIRE(texts(ring->replayed()) == expected);
        REQUIRE(ring->replayed().holes.empty());
        REQUIRE(ring->next_sequence() == sequence);
    }
    CHECK(sequence > 300);
}

TEST_CASE("ring: a failed commit is final", "[ring]") {
    ForgetfulDisk disk;
    const auto ring = create_ring(disk);
    commit(*ring, "a");
    auto slot = ring->reserve(payload_for(1));
    REQUIRE(slot);
    fill(slot->writer, "b", 1);
    disk.fail(DiskCall::overwrite, 1);
    CHECK(ring->commit(*slot).error().value() == EIO);
    CHECK(ring->poisoned());
    // The disk is well again, and is not asked any more.
    const std::uint64_t calls = disk.count();
    CHECK(what(ring->commit(*slot).error()) == JournalErrc::poisoned);
    CHECK_FALSE(ring->reserve(1).has_value());
    CHECK(what(checkpoint(*ring, 1).error()) == JournalErrc::poisoned);
    CHECK(what(ring->prewrite_more().error()) == JournalErrc::poisoned);
    CHECK(disk.count() == calls);
    // What the frame holds is still there to be put into the next ring.
    SectionCursor cursor{slot->writer.payload(), slot->writer.section_count()};
    CHECK(std::get<SessionSection>(cursor.next()->value()).client_id == "b");
    CHECK(ring->next_sequence() == 2);
}

TEST_CASE("ring: a failed slot is final too", "[ring]") {
    ForgetfulDisk disk;
    const auto ring = create_ring(disk);
    commit(*ring, "a");
    disk.fail(DiskCall::overwrite, 1);
    CHECK(checkpoint(*ring, 2).error().value() == EIO);
    CHECK(ring->poisoned());
    CHECK_FALSE(try_commit(*ring, "b").has_value());
}

TEST_CASE("ring: too many partitions for a slot is no poison", "[ring]") {
    ForgetfulDisk disk;
    const auto ring = create_ring(disk);
    Checkpoint large;
    large.partitions.resize(10'000);
    CHECK(what(ring->write_slot(large).error()) == JournalErrc::slot_too_large);
    commit(*ring, "a");
}

TEST_CASE("ring: a checkpoint comes back as it was given", "[ring]") {
    ForgetfulDisk disk;
    const auto ring = create_ring(disk);
    commit(*ring, "a");
    commit(*ring, "b");
    Checkpoint given;
    given.first_needed_sequence = 2;
    given.wall = Timestamp{17};
    given.partitions.push_back({{"t", 1}, Offset{0}, Offset{9}, Offset{5}, 100});
    REQUIRE(ring->write_slot(given));
    disk.power_cut();
    const auto again = open_ring(disk);
    const Checkpoint& found = again->replayed().slot->checkpoint;
    CHECK(found.partitions == given.partitions);
    CHECK(found.wall == Timestamp{17});
    CHECK(found.first_needed_sequence == 2);
    CHECK(found.first_needed_position == FilePosition{ring_begin + block_bytes});
    CHECK(found.next_sequence == 3);
    CHECK(texts(again->replayed()) == "b");
}

TEST_CASE("ring: an empty ring goes on where it stopped", "[ring]") {
    ForgetfulDisk disk;
    {
        const auto ring = create_ring(disk);
        commit(*ring, "a", 3);
        REQUIRE(checkpoint(*ring, 2));
    }
    const auto ring = open_ring(disk);
    CHECK(ring->replayed().frames.empty());
    const auto slot = ring->reserve(1);
    REQUIRE(slot);
    CHECK(slot->place.sequence == 2);
    CHECK(slot->place.position == FilePosition{ring_begin + 3 * block_bytes});
}

TEST_CASE("ring: without slots it is full until all that was replayed is freed", "[ring]") {
    ForgetfulDisk disk;
    {
        // A leftover of an older lap at the end, behind where a longer frame wrapped early.
        const auto ring = create_ring(disk);
        commit(*ring, "a", 14);
        commit(*ring, "left", 2);
        REQUIRE(checkpoint(*ring, 3));
        commit(*ring, "b", 10);
        REQUIRE(checkpoint(*ring, 4));
        commit(*ring, "c", 3);
        commit(*ring, "d", 4);
    }
    for (const std::uint64_t at : {slots_begin, slots_begin + slot_area_bytes}) {
        disk.flip_bit(path, at, 0);
    }
    const auto ring = open_ring(disk);
    CHECK(texts(ring->replayed()) == "left c d");
    CHECK(ring->next_sequence() == 6);
    CHECK_FALSE(try_commit(*ring, "e").has_value());
    REQUIRE(checkpoint(*ring, 6));
    commit(*ring, "e");
}

TEST_CASE("ring: only what is pre-written is used", "[ring]") {
    ForgetfulDisk disk;
    const std::uint64_t blocks = 6 * mib / block_bytes;
    auto ring = create_ring(disk, blocks);
    CHECK(ring->prewritten_bytes() == 4 * mib);
    const std::size_t step = mib / block_bytes;
    for (int i = 0; i < 4; ++i) {
        commit(*ring, "x", step);
    }
    CHECK_FALSE(try_commit(*ring, "y", step).has_value());
    SECTION("it grows by steps") {
        REQUIRE(ring->prewrite_more());
        commit(*ring, "y", step);
        REQUIRE(ring->prewrite_more());
        CHECK(ring->prewritten_bytes() == ring->capacity_bytes());
        REQUIRE(ring->prewrite_more());
        CHECK(ring->prewritten_bytes() == ring->capacity_bytes());
        commit(*ring, "z", step);
        disk.power_cut();
        CHECK(reopened_texts(disk) == "x x x x y z");
    }
    SECTION("it goes round before it has grown") {
        REQUIRE(checkpoint(*ring, 3));
        commit(*ring, "y", step);
        REQUIRE(ring->prewrite_more());
        commit(*ring, "z", step);
        CHECK_FALSE(try_commit(*ring, "full").has_value());
        disk.power_cut();
        ring = open_ring(disk);
        CHECK(texts(ring->replayed()) == "x x y z");
        CHECK(ring->prewritten_bytes() == 5 * mib);
    }
    SECTION("a full disk is no poison") {
        disk.set_capacity(0);
        CHECK(ring->prewrite_more().error().value() == ENOSPC);
        CHECK_FALSE(ring->poisoned());
        disk.set_capacity(gib);
        REQUIRE(ring->prewrite_more());
        commit(*ring, "y", step);
    }
    SECTION("a failed sync is") {
        disk.fail(DiskCall::sync, 1);
        CHECK(ring->prewrite_more().error().value() == EIO);
        CHECK(ring->poisoned());
    }
}

TEST_CASE("ring: giving idle memory back loses no frame", "[ring]") {
    ForgetfulDisk disk;
    const auto ring = create_ring(disk);
    commit(*ring, "a", 10);
    commit(*ring, "b", 4);
    REQUIRE(checkpoint(*ring, 2));
    auto slot = ring->reserve(payload_for(3));  // at the beginning
    REQUIRE(slot);
    fill(slot->writer, "c", 3);
    ring->release_idle_memory();
    REQUIRE(ring->commit(*slot));
    commit(*ring, "d");
    ring->release_idle_memory();
    disk.power_cut();
    CHECK(reopened_texts(disk) == "b c d");
}

TEST_CASE(
    "ring: what a failed sync left in the cache is made durable before it is believed",
    "[ring]"
) {
    for (std::uint64_t seed = 0; seed < 40; ++seed) {
        ForgetfulDisk disk{seed};
        {
            const auto ring = create_ring(disk);
            commit(*ring, "a");
            auto raw = disk.open(path, OpenMode::write);
            REQUIRE(raw);
            // As if pwrite had worked and fdatasync failed.
            auto slot = ring->reserve(payload_for(2));
            REQUIRE(slot);
            fill(slot->writer, "b", 2);
            const auto key = ring->header().key();
            REQUIRE((*raw)->write_at(slot->place.position, slot->writer.seal(slot->place, key)));
            disk.fail(DiskCall::sync, 1);
            CHECK_FALSE((*raw)->sync());
        }
        disk.kill_process();
        std::string believed;
        {
            const auto ring = open_ring(disk);
            believed = texts(ring->replayed());
        }
        CHECK(believed == "a b");
        disk.power_cut();
        CHECK(reopened_texts(disk) == believed);
    }
}

TEST_CASE("ring: older generations and half-made rings are removed", "[ring]") {
    ForgetfulDisk disk;
    create_ring(disk);
    Checkpoint first;
    first.next_sequence = 9;
    REQUIRE(disk.open("journal/ring-00000003.new", OpenMode::create));
    auto ring = Ring::create(disk, "journal", ring_header(16, 2), first);
    REQUIRE(ring);
    CHECK(ring_generations(disk, "journal").value() == std::vector<std::uint32_t>{1, 2});
    REQUIRE(Ring::remove_older(disk, "journal", 2));
    disk.power_cut();
    CHECK(disk.list("journal")->size() == 1);
    auto again = Ring::open(disk, "journal", 2);
    REQUIRE(again);
    CHECK((*again)->next_sequence() == 9);
    CHECK(Ring::open(disk, "journal", 1).error().value() == ENOENT);
    REQUIRE(Ring::remove_older(disk, "journal", 2));
}

TEST_CASE("ring: a size outside the limits makes no ring", "[ring]") {
    ForgetfulDisk disk;
    REQUIRE(disk.make_directory("journal"));
    RingHeader header = ring_header(16);
    header.ring_bytes = GENERATE(std::uint64_t{0}, 15 * 4096, 16 * 4096 + 1, 5 * gib);
    CHECK(what(Ring::create(disk, "journal", header, {}).error()) == JournalErrc::bad_size);
    CHECK(disk.list("journal")->empty());
}

TEST_CASE("ring: a disk without room for it makes no ring", "[ring]") {
    ForgetfulDisk disk;
    REQUIRE(disk.make_directory("journal"));
    disk.set_capacity(100 * block_bytes);
    CHECK(Ring::create(disk, "journal", ring_header(64), {}).error().value() == ENOSPC);
    CHECK(disk.list("journal")->empty());
    REQUIRE(disk.sync_directory("journal"));
    CHECK(disk.space("")->available_bytes == 100 * block_bytes);
}

TEST_CASE("ring: committer and checkpointer work at the same time", "[ring]") {
    const test::TempDir folder;
    PosixFileSystem files;
    auto made = Ring::create(files, folder.path(), ring_header(64), {});
    REQUIRE(made);
    Ring& ring = **made;
    constexpr std::uint64_t count = 300;
    std::thread committer{[&] {
        for (std::uint64_t i = 0; i < count;) {
            auto slot = ring.reserve(payload_for(1 + i % 3));
            if (!slot) {
                std::this_thread::yield();
                continue;
            }
            slot->writer.add_session(std::to_string(i), {});
            if (!ring.commit(*slot)) return;
            ++i;
        }
    }};
    bool well = true;
    while (well && ring.next_sequence() <= count) {
        well = checkpoint(ring, ring.next_sequence()).has_value();
        ring.release_idle_memory();
    }
    committer.join();
    CHECK(well);
    CHECK(ring.next_sequence() == count + 1);
    REQUIRE(checkpoint(ring, count + 1));
    CHECK(ring.used_bytes() == 0);
}
