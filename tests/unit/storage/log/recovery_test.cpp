// Recovery on a whole log: files are damaged at rest, then it is opened again.
#include "storage/log/recovery.hpp"

#include "storage/journal/ring_header.hpp"
#include "storage/log/segment_name.hpp"
#include "tests/support/forgetful_disk.hpp"
#include "tests/support/log_parts.hpp"
#include "tests/support/matchers.hpp"

#include <catch2/catch.hpp>

#include <memory>
#include <string>

namespace milepost::storage {

namespace {

using test::record;

// In a frame of one record of topic "t" with a key and a value of one byte.
constexpr int value_byte = 48 + 8 + 2 + 1 + 4 + 61 + 7;
constexpr std::string_view ring_file = "/data/journal/ring-00000001";

class RecoveryFixture {
public:
    RecoveryFixture() {
        config.data_dir = "/data";
        config.limit_bytes = 1024 * mib;
        config.ring_bytes = ring_bytes_min;
        config.segment_bytes = 16 * kib;
        config.batch_bytes = 1 * kib;
        config.codec = Codec::none;
        config.background = false;
        open();
    }

    void open() {
        log.reset();
        report = {};
        auto opened = DiskLog::open_for_writing(
            config,
            {.files = disk, .keeper = keeper, .listener = listener, .post = {}},
            report
        );
        REQUIRE(opened);
        log = std::move(*opened);
        partition = log->ensure_topic("t", 1).value().front();
    }

    // A group of one record: one frame of one block.
    void put(int number) {
        REQUIRE(log->append(partition, record("k", std::to_string(number)), {}));
        log->commit();
    }

    void put(int from, int end) {
        for (int i = from; i < end; ++i)
            put(i);
    }

    [[nodiscard]] test::ReadBack read(std::int64_t from = 0) const {
        return test::read_back(*log, partition, Offset{from});
    }

    void check_whole(int count) const {
        const auto got = read();
        REQUIRE(got.values.size() == static_cast<std::size_t>(count));
        for (int i = 0; i < count; ++i)
            CHECK(got.values[std::size_t(i)] == std::to_string(i));
    }

    [[nodiscard]] static std::filesystem::path segment(std::int64_t base) {
        return segment_path("/data/t-0", Offset{base}, SegmentFile::log);
    }

    // Spoils the frame that holds record `number`, if all frames are one block and none is freed.
    void spoil_frame(int number, int byte = 60, unsigned bit = 3) {
        disk.flip_bit(
            ring_file,
            ring_begin + static_cast<std::uint64_t>(number) * block_bytes +
                static_cast<std::uint64_t>(byte),
            bit
        );
    }

    test::ForgetfulDisk disk;
    test::RecordingKeeper keeper;
    test::RecordingListener listener;
    LogConfig config;
    RecoveryReport report;
    std::unique_ptr<DiskLog> log;
    PartitionId partition;
};

}  // namespace

TEST_CASE("recovery: what lies behind the checkpoint is cut where it is torn", "[recovery]") {
    RecoveryFixture f;
    f.put(0, 20);
    REQUIRE(f.log->checkpoint_now());
    f.put(20, 30);
    f.log.reset();
    {
        // The beginning of a batch, as a checkpoint that did not end leaves it.
        auto file = f.disk.open(RecoveryFixture::segment(0), OpenMode::write).value();
        const auto bytes = file->size().value();
        Buffer torn(40);
        REQUIRE(file->read_at(FilePosition{0}, torn));
        REQUIRE(file->write_at(FilePosition{bytes}, torn));
    }
    f.open();
    CHECK(f.report.segment_bytes_cut == 40);
    CHECK(f.report.records_from_journal == 10);
    CHECK(f.report.gaps.empty());
    f.check_whole(30);
    f.put(30, 40);
    REQUIRE(f.log->checkpoint_now());
    f.check_whole(40);
}

TEST_CASE(
    "recovery: a rotten frame in the middle is a hole, and the later ones are served",
    "[recovery]"
) {
    RecoveryFixture f;
    f.put(0, 10);
    f.log.reset();
    f.spoil_frame(4);
    f.open();
    REQUIRE(f.report.gaps.size() == 1);
    CHECK(f.report.gaps[0].first == Offset{4});
    CHECK(f.report.gaps[0].end == Offset{5});
    CHECK(f.report.gaps[0].reason == "rot");
    REQUIRE(f.keeper.gaps.size() == 1);
    const auto got = f.read();
    CHECK(got.offsets == std::vector<std::int64_t>{0, 1, 2, 3, 5, 6, 7, 8, 9});
    f.put(10);
    REQUIRE(f.log->checkpoint_now());
    CHECK(f.read().offsets.size() == 10);
    f.open();
    CHECK(f.report.gaps.empty());
    CHECK(f.read(4).offsets == std::vector<std::int64_t>{5, 6, 7, 8, 9, 10});
}

TEST_CASE("recovery: a rotten frame whose records a segment has is no loss", "[recovery]") {
    RecoveryFixture f;
    f.put(0, 10);
    f.keeper.fails = true;  // the segments are written, and then no slot
    REQUIRE(f.log->append_session("c", as_bytes("s"), {}));
    f.log->commit();
    CHECK_FALSE(f.log->checkpoint_now());
    f.keeper.fails = false;
    f.log.reset();
    f.spoil_frame(4);
    f.open();
    CHECK(f.report.gaps.empty());
    f.check_whole(10);
}

TEST_CASE("recovery: with one slot spoilt the other one does", "[recovery]") {
    for (std::uint64_t area = 0; area < slot_area_count; ++area) {
        RecoveryFixture f;
        f.put(0, 10);
        REQUIRE(f.log->checkpoint_now());
        f.put(10, 20);
        REQUIRE(f.log->checkpoint_now());
        f.put(20, 25);
        f.log.reset();
        f.disk.flip_bit(ring_file, slots_begin + area * slot_area_bytes + 30, 1);
        f.open();
        CHECK(f.report.gaps.empty());
        f.check_whole(25);
    }
}

TEST_CASE("recovery: with both slots spoilt the segments and the frames are enough", "[recovery]") {
    RecoveryFixture f;
    f.put(0, 10);
    REQUIRE(f.log->checkpoint_now());
    f.put(10, 20);
    REQUIRE(f.log->checkpoint_now());
    f.put(20, 25);
    f.log.reset();
    for (std::uint64_t area = 0; area < slot_area_count; ++area) {
        f.disk.flip_bit(ring_file, slots_begin + area * slot_area_bytes + 30, 1);
    }
    f.open();
    CHECK(f.report.gaps.empty());
    f.check_whole(25);
    f.put(25, 30);
    REQUIRE(f.log->checkpoint_now());
    f.open();
    f.check_whole(30);
}

TEST_CASE(
    "recovery: a lost active segment is a hole, and its offsets are not given again",
    "[recovery]"
) {
    RecoveryFixture f;
    f.put(0, 10);
    REQUIRE(f.log->checkpoint_now());
    f.log.reset();
    REQUIRE(f.disk.remove(RecoveryFixture::segment(0)));
    f.open();
    REQUIRE(f.report.gaps.size() == 1);
    CHECK(f.report.gaps[0].first == Offset{0});
    CHECK(f.report.gaps[0].end == Offset{10});
    CHECK(f.log->positions(f.partition).durable == Offset{10});
    f.put(10, 12);
    CHECK(
        f.read(f.log->positions(f.partition).start.value()).offsets ==
        std::vector<std::int64_t>{10, 11}
    );
    REQUIRE(f.log->checkpoint_now());
    f.open();
    CHECK(f.log->positions(f.partition).durable == Offset{12});
    CHECK(f.report.gaps.empty());
}

TEST_CASE(
    "recovery: a segment that is shorter than the checkpoint says keeps its whole batches",
    "[recovery]"
) {
    RecoveryFixture f;
    for (int i = 0; i < 40; ++i) {
        REQUIRE(f.log->append(f.partition, record("k", std::string(300, 'a')), {}));
        f.log->commit();
    }
    REQUIRE(f.log->checkpoint_now());
    f.log.reset();
    const auto bytes = f.disk.content(RecoveryFixture::segment(0)).size();
    f.disk.cut(RecoveryFixture::segment(0), bytes - 10);
    f.open();
    REQUIRE(f.report.gaps.size() == 1);
    CHECK(f.report.gaps[0].first > Offset{30});
    CHECK(f.report.gaps[0].end == Offset{40});
    CHECK(f.read().offsets.size() == static_cast<std::size_t>(f.report.gaps[0].first.value()));
    f.put(40);
    CHECK(f.read(40).values == std::vector<std::string>{"40"});
}

TEST_CASE("recovery: unknown files are left alone and named", "[recovery]") {
    RecoveryFixture f;
    f.put(0, 3);
    REQUIRE(f.log->checkpoint_now());
    f.log.reset();
    REQUIRE(f.disk.open("/data/notes.txt", OpenMode::create));
    REQUIRE(f.disk.open("/data/t-0/readme", OpenMode::create));
    f.open();
    CHECK(f.report.notes.size() == 2);
    CHECK(f.disk.exists("/data/notes.txt"));
    CHECK(f.disk.exists("/data/t-0/readme"));
    f.check_whole(3);
}

TEST_CASE(
    "recovery: a rotten batch in a segment is passed over and entered in the ledger",
    "[recovery]"
) {
    RecoveryFixture f;
    for (int i = 0; i < 40; ++i) {
        REQUIRE(f.log->append(f.partition, record("k", std::string(300, 'a')), {}));
        f.log->commit();
    }
    REQUIRE(f.log->checkpoint_now());
    f.log.reset();
    f.disk.flip_bit(RecoveryFixture::segment(0), 2000, 0);
    f.open();
    const auto got = f.read();
    CHECK(got.offsets.size() < 40);
    CHECK(got.offsets.size() > 30);
    CHECK(got.offsets.back() == 39);
    REQUIRE(f.log->checkpoint_now());
    REQUIRE(f.keeper.gaps.size() == 1);
    const Gap& gap = f.keeper.gaps.front();
    CHECK(std::size_t(gap.end - gap.first) + got.offsets.size() == 40);
}

TEST_CASE("recovery: indexes that are lost are made again", "[recovery]") {
    RecoveryFixture f;
    f.put(0, 30);
    REQUIRE(f.log->checkpoint_now());
    f.log.reset();
    REQUIRE(f.disk.remove(segment_path("/data/t-0", Offset{0}, SegmentFile::offset_index)));
    REQUIRE(f.disk.remove(segment_path("/data/t-0", Offset{0}, SegmentFile::time_index)));
    f.open();
    f.check_whole(30);
    f.put(30, 40);
    REQUIRE(f.log->checkpoint_now());
    f.check_whole(40);
}

TEST_CASE("recovery: a ring without a header is kept, also by later starts", "[recovery]") {
    RecoveryFixture f;
    f.put(0, 10);
    REQUIRE(f.log->checkpoint_now());
    f.log.reset();
    f.disk.flip_bit(ring_file, 20, 1);
    f.disk.flip_bit(ring_file, block_bytes + 20, 1);
    const Buffer ring = f.disk.content(ring_file);
    for (int start = 0; start < 3; ++start) {
        f.open();
        f.check_whole(10);
        f.log.reset();
        CHECK(f.disk.content(std::string{ring_file} + ".damaged-1") == ring);
    }
    CHECK_FALSE(f.disk.exists(std::string{ring_file} + ".damaged-2"));
}

TEST_CASE(
    "recovery: a segment whose sync failed is left for a new one, and nothing is lost",
    "[recovery]"
) {
    RecoveryFixture f;
    f.put(0, 10);
    REQUIRE(f.log->checkpoint_now());
    f.put(10, 20);
    f.disk.fail(test::DiskCall::sync, 1);
    CHECK_FALSE(f.log->checkpoint_now());
    f.check_whole(20);
    REQUIRE(f.log->checkpoint_now());
    CHECK(f.disk.exists(RecoveryFixture::segment(10)));
    f.check_whole(20);
    f.log.reset();
    f.disk.power_cut();
    f.open();
    f.check_whole(20);
}

// Two partitions; what happens to the last frame of one while the other proves that it was durable.
class HoleAtTheEnd {
public:
    HoleAtTheEnd() {
        other = f.log->ensure_topic("other", 1).value().front();
        f.put(0, 4);
        put_other();
        f.log.reset();
    }

    void put_other() {
        REQUIRE(f.log->append(other, record("k", "other"), {}));
        f.log->commit();
    }

    void open() {
        f.open();
        other = f.log->ensure_topic("other", 1).value().front();
    }

    // Where nothing is left the partition begins behind the hole.
    [[nodiscard]] test::ReadBack read() const {
        return f.read(f.log->positions(f.partition).start.value());
    }

    // Offsets 0 to `whole` are there, up to 4 is a hole, what is put now gets 4.
    void check_hole(int whole) {
        CHECK(f.log->positions(f.partition).durable == Offset{4});
        CHECK(f.log->positions(f.partition).appended == Offset{4});
        CHECK(read().values.size() == static_cast<std::size_t>(whole));
    }

    RecoveryFixture f;
    PartitionId other;
};

TEST_CASE("recovery: a hole at the end of a partition is not given to others", "[recovery]") {
    const bool with_tail = GENERATE(true, false);
    HoleAtTheEnd hole;
    RecoveryFixture& f = hole.f;
    for (int i = with_tail ? 3 : 0; i < 4; ++i)
        f.spoil_frame(i, value_byte);
    hole.open();
    const int whole = with_tail ? 3 : 0;
    hole.check_hole(whole);
    REQUIRE(f.report.gaps.size() == (with_tail ? 1 : 4));
    CHECK(f.report.gaps.back().end == Offset{4});
    CHECK(f.keeper.gaps.size() == f.report.gaps.size());

    SECTION("after another start") {
        hole.open();
        hole.check_hole(whole);
    }
    SECTION("after a checkpoint and a start") {
        REQUIRE(f.log->checkpoint_now());
        hole.open();
        CHECK(f.report.frames == 0);
        CHECK(f.report.gaps.empty());
        hole.check_hole(whole);
    }
    SECTION("after a new ring and a start") {
        f.disk.fail(test::DiskCall::overwrite, 1);
        hole.put_other();
        CHECK(f.log->stats().ring_generations.value() == 1);
        hole.open();
        hole.check_hole(whole);
    }
    SECTION("after close") {
        REQUIRE(f.log->close());
        hole.open();
        hole.check_hole(whole);
    }
    f.put(4);
    REQUIRE(f.log->checkpoint_now());
    f.put(5);
    hole.open();
    const auto got = hole.read();
    REQUIRE(got.values.size() == static_cast<std::size_t>(whole + 2));
    CHECK(got.offsets.back() == 5);
    CHECK(got.values.back() == "5");
    CHECK(got.offsets[static_cast<std::size_t>(whole)] == 4);
}

TEST_CASE(
    "recovery: what a rotten frame says is believed no further than it can be true",
    "[recovery]"
) {
    // A bit flipped anywhere in the last frame of a partition that a later frame proves.
    HoleAtTheEnd hole;
    RecoveryFixture& f = hole.f;
    const auto state = f.disk.snapshot();
    int not_given_again = 0;
    constexpr int frame_used_bytes = value_byte + 2;
    for (int byte = 0; byte < frame_used_bytes; ++byte) {
        for (unsigned bit = 0; bit < 8; ++bit) {
            CAPTURE(byte, bit);
            f.log.reset();
            f.disk.restore(state);
            f.keeper.gaps.clear();
            f.spoil_frame(3, byte, bit);
            hole.open();
            const Offset end = f.log->positions(f.partition).durable;
            REQUIRE((end == Offset{3} || end == Offset{4}));
            REQUIRE(f.log->positions(hole.other).durable == Offset{1});
            not_given_again += end == Offset{4} ? 1 : 0;
        }
    }
    CHECK(not_given_again > frame_used_bytes * 8 / 3);
}

TEST_CASE(
    "recovery: the last frame of all is given again, nothing proves that it was there",
    "[recovery]"
) {
    RecoveryFixture f;
    f.put(0, 4);
    f.log.reset();
    f.spoil_frame(3, value_byte);
    f.open();
    CHECK(f.log->positions(f.partition).durable == Offset{3});
    CHECK(f.report.gaps.empty());
}

TEST_CASE("recovery: what was in flight holds nothing, whatever was lost before it", "[recovery]") {
    RecoveryFixture f;
    f.put(0, 4);
    f.log.reset();
    f.spoil_frame(1, 40);  // its header
    f.spoil_frame(3, value_byte);
    f.open();
    CHECK(f.log->positions(f.partition).durable == Offset{3});
    REQUIRE(f.report.gaps.size() == 1);
    CHECK(f.report.gaps[0].first == Offset{1});
    CHECK(f.report.gaps[0].end == Offset{2});
}

}  // namespace milepost::storage
