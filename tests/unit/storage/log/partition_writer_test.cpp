#include "storage/log/partition_writer.hpp"

#include "storage/log/disk_log.hpp"
#include "tests/support/forgetful_disk.hpp"
#include "tests/support/log_parts.hpp"
#include "tests/support/matchers.hpp"

#include <catch2/catch.hpp>

#include <memory>
#include <numeric>
#include <string>
#include <vector>

namespace milepost::storage {

namespace {

// A log on a disk whose writes fail now and then; segments of eight records.
class WriterFixture {
public:
    WriterFixture() { open(); }

    void open() {
        log.reset();
        LogConfig config;
        config.data_dir = "/data";
        config.limit_bytes = log_limit_bytes_min * 16;
        config.ring_bytes = ring_bytes_min;
        config.segment_bytes = 8 * kib;
        config.batch_bytes = kib;
        config.codec = Codec::none;
        config.background = false;
        RecoveryReport report;
        auto opened = DiskLog::open_for_writing(
            config,
            {.files = disk, .keeper = keeper, .listener = listener, .post = {}},
            report
        );
        REQUIRE(opened);
        log = std::move(*opened);
        CHECK(report.gaps.empty());
        partition = log->ensure_topic("t", 1).value()[0];
    }

    void put(int count) {
        for (int i = 0; i < count; ++i) {
            const std::string value(900, 'v');
            REQUIRE(log->append(partition, test::record("k", value), std::nullopt));
            log->commit();
        }
    }

    test::ForgetfulDisk disk;
    test::RecordingKeeper keeper;
    test::RecordingListener listener;
    std::unique_ptr<DiskLog> log;
    PartitionId partition;
};

}  // namespace

TEST_CASE("partition writer: no segment is larger than it may be, however much comes", "[log]") {
    WriterFixture f;
    f.put(50);  // at once, and less than one write takes
    REQUIRE(f.log->checkpoint_now());
    std::size_t segments = 0;
    for (const DirectoryEntry& entry : f.disk.list("/data/t-0").value()) {
        if (!entry.name.ends_with(".log")) continue;
        ++segments;
        CHECK(entry.bytes <= 8 * kib);
    }
    CHECK(segments >= 6);
}

TEST_CASE(
    "partition writer: a segment that could not be begun hides nothing of the one before",
    "[log]"
) {
    for (std::uint64_t nth = 1; nth <= 12; ++nth) {
        for (const bool twice : {false, true}) {
            CAPTURE(nth, twice);
            WriterFixture f;
            f.put(4);
            REQUIRE(f.log->checkpoint_now());
            f.disk.fail(test::DiskCall::write, nth, {.for_ever = true, .short_bytes = 100});
            f.put(12);
            (void)f.log->checkpoint_now().has_error();
            if (twice) (void)f.log->checkpoint_now().has_error();
            f.disk.clear_faults();
            f.put(1);
            REQUIRE(f.log->checkpoint_now());
            REQUIRE(f.log->close());
            f.open();
            const auto got = test::read_back(*f.log, f.partition, Offset{0});
            std::vector<std::int64_t> all(17);
            std::iota(all.begin(), all.end(), 0);
            CHECK(got.offsets == all);
        }
    }
}

}  // namespace milepost::storage
