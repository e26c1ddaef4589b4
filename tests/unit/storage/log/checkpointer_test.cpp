#include "storage/log/checkpointer.hpp"

#include "storage/log/disk_log.hpp"
#include "tests/support/forgetful_disk.hpp"
#include "tests/support/log_parts.hpp"
#include "tests/support/matchers.hpp"

#include <catch2/catch.hpp>

#include <memory>
#include <string>
#include <vector>

namespace milepost::storage {

namespace {

constexpr int partition_count = 20;

// A log with its threads: a checkpoint syncs several segments at once.
class CheckpointerFixture {
public:
    CheckpointerFixture() { open(); }

    void open() {
        log.reset();
        LogConfig config;
        config.data_dir = "/data";
        config.limit_bytes = log_limit_bytes_min * 16;
        config.ring_bytes = ring_bytes_min;
        config.checkpoint_age_max = std::chrono::hours{1};
        RecoveryReport report;
        auto opened = DiskLog::open_for_writing(
            config,
            {.files = disk, .keeper = keeper, .listener = listener, .post = {}},
            report
        );
        REQUIRE(opened);
        log = std::move(*opened);
        partitions = log->ensure_topic("t", partition_count).value();
    }

    void put_one_in_each() {
        for (const PartitionId id : partitions)
            REQUIRE(log->append(id, test::record("k", "v"), std::nullopt));
        log->commit();
    }

    void check_each_has(std::size_t count) {
        for (const PartitionId id : partitions)
            CHECK(test::read_back(*log, id, Offset{0}).values.size() == count);
    }

    test::ForgetfulDisk disk;
    test::RecordingKeeper keeper;
    test::RecordingListener listener;
    std::unique_ptr<DiskLog> log;
    std::vector<PartitionId> partitions;
};

}  // namespace

TEST_CASE("checkpointer: each touched segment is synced once", "[log]") {
    CheckpointerFixture f;
    f.put_one_in_each();
    const auto before = f.disk.count(test::DiskCall::sync);
    REQUIRE(f.log->checkpoint_now());
    CHECK(f.disk.count(test::DiskCall::sync) - before == partition_count);
    REQUIRE(f.log->checkpoint_now());
    CHECK(f.disk.count(test::DiskCall::sync) - before == partition_count);
    f.put_one_in_each();
    f.disk.power_cut();
    f.open();
    f.check_each_has(2);
}

TEST_CASE(
    "checkpointer: a sync that fails among many costs no record and frees no frame",
    "[log]"
) {
    for (const std::uint64_t nth : {1U, 2U, 9U, 20U}) {
        CAPTURE(nth);
        CheckpointerFixture f;
        f.put_one_in_each();
        REQUIRE(f.log->checkpoint_now());
        f.put_one_in_each();
        f.disk.fail(test::DiskCall::sync, nth);
        CHECK(f.log->checkpoint_now().has_error());
        f.check_each_has(2);
        if (nth % 2 == 0) {
            f.disk.power_cut();
            f.open();
        }
        f.put_one_in_each();
        REQUIRE(f.log->checkpoint_now());
        f.check_each_has(3);
        f.disk.power_cut();
        f.open();
        f.check_each_has(3);
    }
}

}  // namespace milepost::storage
