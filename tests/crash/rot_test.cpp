// The files of a small log cut at every byte, and with a bit flipped in every byte. With the
// variable MILEPOST_EVERY_BYTE set it is every byte; else every one of the parts that mean
// something different at each, and some of the others.
#include "storage/journal/ring_header.hpp"
#include "tests/crash/rot_log.hpp"

#include <catch2/catch.hpp>

#include <cstdlib>

namespace milepost::test {

using namespace storage;

namespace {

bool wants_every_byte() {
    return std::getenv("MILEPOST_EVERY_BYTE") != nullptr;
}

#ifdef __SANITIZE_ADDRESS__
constexpr std::uint64_t coarse = 61;
#else
constexpr std::uint64_t coarse = 3;
#endif

// Whether this byte has its turn: where each means something else (headers of the file, of slots
// and of frames, the borders of blocks) always.
bool is_chosen(std::uint64_t byte) {
    if (wants_every_byte() || (byte + 4) % block_bytes < 8) return true;
    if (byte < ring_begin && byte % slot_area_bytes >= 3 * block_bytes) return byte % 997 == 0;
    return byte % block_bytes < 100 || byte % coarse == 0;
}

unsigned bit_of(std::uint64_t byte) {
    return static_cast<unsigned>(byte * 7 % 8);
}

// Opening for writing takes longer: now and then.
class Sweep {
public:
    void compare(RotLog& log, const RotLog::Outcome& expected) {
        REQUIRE(log.read() == expected);
        if (++count_ % 97 == 0) REQUIRE(log.read_and_go_on() == expected);
    }

private:
    std::uint64_t count_ = 0;
};

// From the end, so that every cut is made in what the one before left.
template <class Expected>
void cut_everywhere(RotLog& log, const std::string& file, Expected expected) {
    Sweep sweep;
    for (std::uint64_t bytes = log.bytes(file) + 1; bytes-- > 0;) {
        if (!is_chosen(bytes)) continue;
        CAPTURE(file, bytes);
        log.disk.cut(file, bytes);
        sweep.compare(log, expected(bytes));
    }
}

template <class Expected>
void flip_everywhere(RotLog& log, const std::string& file, Expected expected) {
    Sweep sweep;
    const std::uint64_t bytes = log.bytes(file);
    for (std::uint64_t byte = 0; byte < bytes; ++byte) {
        if (!is_chosen(byte)) continue;
        CAPTURE(file, byte);
        log.disk.flip_bit(file, byte, bit_of(byte));
        sweep.compare(log, expected(byte));
        log.disk.flip_bit(file, byte, bit_of(byte));
    }
    CHECK(log.read() == log.whole());
}

std::string index_of(std::string segment, const char* ending) {
    return segment.replace(segment.size() - 4, 4, ending);
}

}  // namespace

TEST_CASE("rot: the log that is damaged is whole before", "[rot]") {
    RotLog log;
    CHECK(log.read() == log.whole());
    CHECK(log.read_and_go_on() == log.whole());
}

TEST_CASE("rot: a bit flipped in any byte of the journal has the outcome of the table", "[rot]") {
    RotLog log;
    flip_everywhere(log, RotLog::journal(), [&](std::uint64_t byte) {
        return log.after_flip_in_journal(byte);
    });
}

TEST_CASE("rot: a journal cut at any byte has the outcome of the table", "[rot]") {
    RotLog log;
    cut_everywhere(log, RotLog::journal(), [&](std::uint64_t bytes) {
        return log.after_cut_of_journal(bytes);
    });
}

TEST_CASE("rot: a bit flipped in any byte of a segment has the outcome of the table", "[rot]") {
    RotLog log;
    for (const std::string& file : {log.sealed(), log.active()}) {
        flip_everywhere(log, file, [&](std::uint64_t byte) {
            return log.after_flip_in_segment(file, byte);
        });
    }
}

TEST_CASE("rot: a last batch whose base offset rose is a hole, not other offsets", "[rot]") {
    RotLog log;
    const std::uint64_t at = log.last_batch_of_sealed();
    for (std::uint64_t byte = at; byte < at + 8; ++byte) {
        CAPTURE(byte);
        const auto expected = log.after_flip_in_segment(log.sealed(), byte);
        log.disk.flip_bit(log.sealed(), byte, 6);
        CHECK(log.read() == expected);
        log.disk.flip_bit(log.sealed(), byte, 6);
    }
}

TEST_CASE("rot: a segment cut at any byte has the outcome of the table", "[rot]") {
    for (const bool is_active : {false, true}) {
        RotLog log;
        const std::string file = is_active ? log.active() : log.sealed();
        cut_everywhere(log, file, [&](std::uint64_t bytes) {
            return log.after_cut_of_segment(file, bytes);
        });
    }
}

TEST_CASE("rot: an index that is flipped or cut anywhere changes nothing", "[rot]") {
    for (const char* ending : {".index", ".timeindex"}) {
        RotLog log;
        for (const std::string& segment : {log.sealed(), log.active()}) {
            const std::string file = index_of(segment, ending);
            CHECK(log.bytes(file) > 0);
            flip_everywhere(log, file, [&](std::uint64_t) { return log.whole(); });
            cut_everywhere(log, file, [&](std::uint64_t) { return log.whole(); });
        }
    }
}

}  // namespace milepost::test
