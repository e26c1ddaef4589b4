#include "storage/log/batch_scanner.hpp"

#include "storage/format/crc32c.hpp"
#include "storage/format/errc.hpp"
#include "tests/unit/storage/segments/segment_bench.hpp"

#include <catch2/catch.hpp>

#include <set>

using namespace milepost;
using namespace milepost::storage;
using namespace milepost::test;

namespace {

struct Walk {
    std::vector<std::int64_t> bases;  // of the good batches
    int damaged = 0;                  // places where something was wrong
    FilePosition valid_end;           // behind the last good batch
    ErrorCode last_error;
};

Walk walk(SegmentBench& bench, Bytes log) {
    bench.put(SegmentFile::log, log);
    auto file = bench.disk.open(bench.path(SegmentFile::log), OpenMode::read);
    REQUIRE(file);
    BatchScanner scanner{**file, {FilePosition{0}, FilePosition{log.size()}}, bench.base};
    Walk result;
    for (;;) {
        const auto batch = scanner.next();
        if (!batch) {
            result.last_error = batch.error();
            ++result.damaged;
            const auto found = scanner.resync();
            REQUIRE(found);
            if (*found == BatchScanner::Resync::at_end) return result;
            continue;
        }
        if (!batch->has_value()) return result;
        result.bases.push_back((*batch)->header.base_offset.value());
        result.valid_end = scanner.position();
    }
}

}  // namespace

TEST_CASE("scanner: every batch of a segment is seen", "[segment]") {
    SegmentBench bench;
    const Walk seen = walk(bench, bench.batches(0, 7));
    CHECK(seen.bases == std::vector<std::int64_t>{1000, 1004, 1008, 1012, 1016, 1020, 1024});
    CHECK(seen.damaged == 0);
}

TEST_CASE("scanner: a tail torn at any byte leaves the batches before it", "[segment]") {
    SegmentBench bench;
    const Buffer log = bench.batches(0, 3);
    const std::size_t first = bench.batch(0).size();
    const std::size_t second = first + bench.batch(1).size();
    for (std::size_t cut = 0; cut < log.size(); ++cut) {
        const Walk seen = walk(bench, Bytes{log}.first(cut));
        const std::size_t expected = cut < first ? 0 : cut < second ? 1 : 2;
        CHECK(seen.bases.size() == expected);
        const bool at_boundary = cut == 0 || cut == first || cut == second;
        CHECK(seen.damaged == (at_boundary ? 0 : 1));
        if (!at_boundary) CHECK(seen.last_error == FormatErrc::short_read);
    }
}

TEST_CASE("scanner: a bit flipped in any byte costs that batch and no other", "[segment]") {
    SegmentBench bench;
    const Buffer log = bench.batches(0, 3);
    const std::size_t first = bench.batch(0).size();
    const std::size_t second = first + bench.batch(1).size();
    for (std::size_t at = first; at < second; ++at) {
        const bool is_epoch = at - first >= batch_layout::leader_epoch &&
                              at - first < batch_layout::magic;
        if (is_epoch) continue;  // outside the CRC, and of no meaning here
        for (unsigned bit = 0; bit < 8; ++bit) {
            Buffer bad = log;
            bad[at] ^= static_cast<std::byte>(1U << bit);
            const Walk seen = walk(bench, bad);
            INFO("byte " << at - first << ", bit " << bit);
            CHECK(seen.bases == std::vector<std::int64_t>{1000, 1008});
            CHECK(seen.damaged == 1);
        }
    }
}

TEST_CASE("scanner: rubbish between batches is stepped over", "[segment]") {
    SegmentBench bench;
    const auto rubbish = GENERATE(as<std::size_t>{}, 1, 60, 61, 5000, 3000000);
    Buffer log = bench.batch(0);
    for (std::size_t i = 0; i < rubbish; ++i) {
        log.push_back(static_cast<std::byte>(i % 7));
    }
    append_bytes(log, bench.batch(1));
    const Walk seen = walk(bench, log);
    CHECK(seen.bases == std::vector<std::int64_t>{1000, 1004});
}

TEST_CASE("scanner: a batch inside the payload of a rotten one is not believed", "[segment]") {
    SegmentBench bench;
    BatchBuilder outer;
    outer.start(bench.base);
    const Buffer forged = bench.batch(0);
    outer.add({Timestamp{1}, {}, forged, {}});
    Buffer log;
    REQUIRE(outer.finish(Codec::none, log));
    log.back() ^= std::byte{1};  // the header count: rot
    BatchBuilder next;
    next.start(bench.base + 1);
    next.add({Timestamp{2}, {}, {}, {}});
    REQUIRE(next.finish(Codec::none, log));
    CHECK(walk(bench, log).bases == std::vector<std::int64_t>{1001});
}

TEST_CASE("scanner: offsets may skip but never fall", "[segment]") {
    SegmentBench bench;
    Buffer log = bench.batch(0);
    append_bytes(log, bench.batch(2));
    CHECK(walk(bench, log).bases == std::vector<std::int64_t>{1000, 1008});
    append_bytes(log, bench.batch(1));
    const Walk seen = walk(bench, log);
    CHECK(seen.damaged == 1);
}

TEST_CASE("scanner: a disk's error is not rot", "[segment]") {
    SegmentBench bench;
    bench.put(SegmentFile::log, bench.batches(0, 3));
    auto file = bench.disk.open(bench.path(SegmentFile::log), OpenMode::read);
    REQUIRE(file);
    BatchScanner scanner{**file, {FilePosition{0}, FilePosition{100000}}, bench.base};
    bench.disk.fail(DiskCall::read, 1);
    const auto batch = scanner.next();
    REQUIRE_FALSE(batch);
    CHECK(batch.error().category() != format_category());
    CHECK(scanner.next());
}
