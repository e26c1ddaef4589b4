// Every checksum, ignored in turn. This program has copies of some of storage's sources that can.
#include "storage/journal/ring_header.hpp"
#include "storage/journal/slot.hpp"
#include "tests/crash/crash_world.hpp"
#include "tests/crash/ignored_crc.hpp"
#include "tests/crash/rot_log.hpp"

#include <catch2/catch.hpp>

#include <exception>
#include <optional>
#include <string>

namespace milepost::test {

namespace {

std::optional<std::string> first_violation(IgnoredCrc ignored, std::uint64_t seeds) {
    ignored_crc = ignored;
    std::optional<std::string> violation;
    for (std::uint64_t seed = 1; seed <= seeds && !violation; ++seed) {
        CrashOptions options;
        options.seed = seed;
        violation = CrashWorld{options}.run();
    }
    ignored_crc = IgnoredCrc::none;
    return violation;
}

// Bits flipped in the first bytes of every slot or of every block of the ring, whose outcome is not
// the one in the table. (A power cut alone cannot show it: a header and a slot of a few partitions
// lie in one sector, and a torn one of another lap is of a lower number.)
int wrong_outcomes(IgnoredCrc ignored, std::uint64_t from, std::uint64_t end, std::uint64_t step) {
    ignored_crc = ignored;
    RotLog log;
    int wrong = 0;
    for (std::uint64_t begin = from; begin < end; begin += step) {
        for (std::uint64_t byte = begin; byte < begin + storage::slot_header_bytes; ++byte) {
            log.disk.flip_bit(RotLog::journal(), byte, static_cast<unsigned>(byte % 8));
            try {
                wrong += log.read() == log.after_flip_in_journal(byte) ? 0 : 1;
            } catch (const std::exception&) {
                ++wrong;  // it does not open, or cannot be read
            }
            log.disk.flip_bit(RotLog::journal(), byte, static_cast<unsigned>(byte % 8));
        }
    }
    ignored_crc = IgnoredCrc::none;
    return wrong;
}

int wrong_after_frame_rot(IgnoredCrc ignored) {
    const std::uint64_t end = storage::ring_begin + 16 * storage::block_bytes;
    return wrong_outcomes(ignored, storage::ring_begin, end, storage::block_bytes);
}

int wrong_after_slot_rot(IgnoredCrc ignored) {
    const std::uint64_t end = storage::ring_begin;
    return wrong_outcomes(ignored, storage::slots_begin, end, storage::slot_area_bytes);
}

}  // namespace

TEST_CASE("crash: with every checksum looked at nothing is wrong", "[crash]") {
    CHECK_FALSE(first_violation(IgnoredCrc::none, 20).has_value());
    CHECK(wrong_after_frame_rot(IgnoredCrc::none) == 0);
    CHECK(wrong_after_slot_rot(IgnoredCrc::none) == 0);
}

TEST_CASE("crash: the alarm works when the CRC of frames' headers is ignored", "[crash]") {
    CHECK(wrong_after_frame_rot(IgnoredCrc::frame_header) > 0);
}

TEST_CASE("crash: the alarm works when the CRC of frames' payloads is ignored", "[crash]") {
    CHECK(first_violation(IgnoredCrc::frame_payload, 300).has_value());
}

TEST_CASE("crash: the alarm works when the CRC of slots is ignored", "[crash]") {
    CHECK(wrong_after_slot_rot(IgnoredCrc::slot) > 0);
}

TEST_CASE("crash: the alarm works when the CRC of batches is ignored", "[crash]") {
    CHECK(first_violation(IgnoredCrc::batch, 300).has_value());
}

}  // namespace milepost::test
