#pragma once

#include "storage/journal/errc.hpp"
#include "storage/journal/ring.hpp"
#include "tests/support/forgetful_disk.hpp"
#include "tests/support/matchers.hpp"
#include "tests/unit/storage/journal/what.hpp"

#include <catch2/catch.hpp>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace milepost::test {

// What the tests of the ring share: a small ring on a forgetful disk, and frames whose one section
// carries a short text and fills a given number of blocks.
inline storage::RingHeader ring_header(std::uint64_t blocks, std::uint32_t generation = 1) {
    return {
        .log_id = 0xA1B2C3D4E5F60718,
        .ring_key = 0x0123456789ABCDEF,
        .generation = generation,
        .ring_bytes = blocks * storage::block_bytes,
        .machine_id_hash = 1,
    };
}

inline std::unique_ptr<storage::Ring> create_ring(
    ForgetfulDisk& disk,
    std::uint64_t blocks = 16,
    std::uint64_t first_sequence = 1
) {
    REQUIRE(disk.make_directory("journal"));
    REQUIRE(disk.sync_directory(""));
    storage::Checkpoint first;
    first.next_sequence = first_sequence;
    auto ring = storage::Ring::create(disk, "journal", ring_header(blocks), first);
    REQUIRE(ring);
    return std::move(*ring);
}

inline std::unique_ptr<storage::Ring> open_ring(ForgetfulDisk& disk) {
    auto ring = storage::Ring::open(disk, "journal", 1);
    REQUIRE(ring);
    return std::move(*ring);
}

inline std::size_t payload_for(std::size_t blocks) {
    return blocks * storage::block_bytes - storage::frame_header_bytes;
}

inline void fill(storage::FrameWriter& writer, std::string_view text, std::size_t blocks) {
    const std::size_t fixed = storage::session_section_bytes(text.size(), 0);
    // Three bytes short of the end: the padding is a part of every frame here.
    writer.add_session(text, Buffer(payload_for(blocks) - fixed - 3, std::byte{'s'}));
}

// Nothing: full.
inline std::optional<Result<void>> try_commit(
    storage::Ring& ring,
    std::string_view text,
    std::size_t blocks = 1
) {
    auto slot = ring.reserve(payload_for(blocks));
    if (!slot) return std::nullopt;
    fill(slot->writer, text, blocks);
    return ring.commit(*slot);
}

inline void commit(storage::Ring& ring, std::string_view text, std::size_t blocks = 1) {
    const auto committed = try_commit(ring, text, blocks);
    REQUIRE(committed.has_value());
    REQUIRE(*committed);
}

inline std::string text_of(const storage::ReplayedFrame& frame) {
    storage::SectionCursor cursor{frame.payload, frame.section_count};
    const auto section = cursor.next();
    if (!section || !section->has_value()) return "unreadable";
    return std::string{std::get<storage::SessionSection>(section->value()).client_id};
}

inline std::string texts(const storage::Replay& replay) {
    std::string all;
    for (const storage::ReplayedFrame& frame : replay.frames) {
        all += (all.empty() ? "" : " ") + text_of(frame);
    }
    return all;
}

// The segments hold everything below `sequence`.
inline Result<void> checkpoint(storage::Ring& ring, std::uint64_t sequence) {
    storage::Checkpoint to;
    to.first_needed_sequence = sequence;
    MILEPOST_TRY(ring.write_slot(to));
    ring.free_before(sequence);
    return {};
}

}  // namespace milepost::test
