#include "storage/log/adopt.hpp"

#include "storage/base/units.hpp"
#include "storage/journal/ring.hpp"
#include "storage/log/disk_log.hpp"
#include "storage/log/errc.hpp"
#include "storage/log/verify.hpp"
#include "tests/support/forgetful_disk.hpp"
#include "tests/support/log_parts.hpp"
#include "tests/support/matchers.hpp"

#include <catch2/catch.hpp>

#include <memory>
#include <string>

namespace milepost::storage {

namespace {

constexpr std::uint64_t here = 11;
constexpr std::uint64_t elsewhere = 22;
constexpr std::string_view journal = "/data/journal";

struct AdoptBench {
    AdoptBench() {
        config.data_dir = "/data";
        config.limit_bytes = 1024 * mib;
        config.ring_bytes = ring_bytes_min;
        config.background = false;
    }

    void open(std::uint64_t machine) {
        log.reset();
        report = {};
        config.machine_id_hash = machine;
        auto opened = DiskLog::open_for_writing(
            config,
            {.files = disk, .keeper = keeper, .listener = listener, .post = {}},
            report
        );
        REQUIRE(opened);
        log = std::move(*opened);
        partition = log->ensure_topic("t", 1).value().front();
    }

    // Records, a group each; the value is the offset.
    void put(int count) {
        for (int i = 0; i < count; ++i) {
            const auto next = log->positions(partition).appended.value();
            REQUIRE(log->append(partition, test::record("k", std::to_string(next)), {}));
            log->commit();
        }
    }

    // SIGKILL.
    void kill() {
        disk.kill_process();
        log.reset();
    }

    void check_records(std::size_t count) {
        const auto read = test::read_back(*log, partition, Offset{0});
        REQUIRE(read.values.size() == count);
        for (std::size_t i = 0; i < count; ++i) {
            CHECK(read.values[i] == std::to_string(i));
        }
    }

    Result<Adoption> adopt(std::uint64_t machine = here) {
        return adopt_log(disk, "/data", keeper, {.machine_id_hash = machine});
    }

    test::ForgetfulDisk disk;
    test::RecordingKeeper keeper;
    test::RecordingListener listener;
    LogConfig config;
    RecoveryReport report;
    std::unique_ptr<DiskLog> log;
    PartitionId partition{};
};

}  // namespace

TEST_CASE("adopt: another machine is told, one without an id is not", "[adopt]") {
    AdoptBench bench;
    bench.open(elsewhere);
    CHECK_FALSE(bench.report.is_from_elsewhere);
    bench.put(3);
    bench.kill();
    bench.open(elsewhere);
    CHECK_FALSE(bench.report.is_from_elsewhere);
    bench.kill();
    bench.open(here);
    CHECK(bench.report.is_from_elsewhere);
    bench.put(1);  // taken in and kept
    bench.check_records(4);
    bench.kill();
    bench.open(0);
    CHECK_FALSE(bench.report.is_from_elsewhere);
    bench.kill();

    AdoptBench container;
    container.open(0);
    container.kill();
    container.open(here);
    CHECK_FALSE(container.report.is_from_elsewhere);
}

TEST_CASE("adopt: a killed gateway's folder gets a new id and keeps every reading", "[adopt]") {
    AdoptBench bench;
    bench.open(elsewhere);
    bench.put(20);
    const std::string old_id{bench.log->log_id()};
    bench.kill();
    std::string told;
    const auto adopted = adopt_log(
        bench.disk,
        "/data",
        bench.keeper,
        {.machine_id_hash = here,
         .before = [&](std::string_view from, std::string_view to) -> Result<void> {
             told = std::string{from} + ">" + std::string{to};
             return {};
         }}
    );
    REQUIRE(adopted);
    CHECK(adopted->was_from_elsewhere);
    CHECK(adopted->old_log_id == old_id);
    CHECK(adopted->new_log_id != old_id);
    CHECK(told == old_id + ">" + adopted->new_log_id);
    CHECK(ring_generations(bench.disk, journal).value() == std::vector<std::uint32_t>{2});
    bench.open(here);
    CHECK_FALSE(bench.report.is_from_elsewhere);
    CHECK(bench.log->log_id() == adopted->new_log_id);
    bench.check_records(20);
    bench.put(5);
    bench.kill();
    bench.open(here);
    bench.check_records(25);
    REQUIRE(bench.log->close());
    const auto sound = verify_folder(bench.disk, "/data", {}, [](const VerifiedFile&) {});
    REQUIRE(sound);
    CHECK(sound->is_sound());
    bench.log.reset();
    bench.open(elsewhere);
    CHECK(bench.report.is_from_elsewhere);
}

TEST_CASE("adopt: the power may go at any call: the old id or the new one", "[adopt]") {
    AdoptBench bench;
    bench.open(elsewhere);
    bench.put(20);
    const std::string old_id{bench.log->log_id()};
    bench.kill();
    const auto state = bench.disk.snapshot();
    int old_ones = 0;
    int new_ones = 0;
    for (std::uint64_t nth = 1;; ++nth) {
        INFO("call " << nth);
        bench.log.reset();
        bench.disk.restore(state);
        bench.disk.crash_at(nth);
        const auto adopted = bench.adopt();
        if (!bench.disk.is_off()) {
            REQUIRE(adopted);
            break;
        }
        bench.disk.power_cut();
        bench.open(here);
        bench.check_records(20);
        const bool is_old = bench.log->log_id() == old_id;
        CHECK(bench.report.is_from_elsewhere == is_old);
        ++(is_old ? old_ones : new_ones);
        bench.put(1);
        bench.kill();
        REQUIRE(bench.adopt());
        bench.open(here);
        CHECK_FALSE(bench.report.is_from_elsewhere);
        bench.check_records(21);
    }
    CHECK(old_ones > 20);
    CHECK(new_ones > 0);
}

TEST_CASE("adopt: what goes wrong before the end changes nothing", "[adopt]") {
    AdoptBench bench;
    CHECK(bench.adopt().error() == LogErrc::not_a_log);
    bench.open(elsewhere);
    bench.put(5);
    const std::string old_id{bench.log->log_id()};
    CHECK(bench.adopt().error() == LogErrc::folder_in_use);
    bench.kill();
    const auto refused = adopt_log(
        bench.disk,
        "/data",
        bench.keeper,
        {.machine_id_hash = here,
         .before = [](auto, auto) -> Result<void> {
             return LogErrc::bad_config;
         }}
    );
    CHECK(refused.error() == LogErrc::bad_config);
    bench.open(elsewhere);
    CHECK(bench.log->log_id() == old_id);
    bench.check_records(5);
}

TEST_CASE("adopt: a ring of another log in the journal is refused, with both ids", "[adopt]") {
    AdoptBench bench;
    bench.open(here);
    bench.put(5);
    const std::string own_id{bench.log->log_id()};
    bench.kill();
    const RingHeader header{
        .log_id = 0xabc,
        .ring_key = 5,
        .generation = 2,
        .ring_bytes = ring_bytes_min};
    REQUIRE(Ring::create(bench.disk, journal, header, {}));
    RecoveryReport report;
    const auto opened = DiskLog::open_for_writing(
        bench.config,
        {.files = bench.disk, .keeper = bench.keeper, .listener = bench.listener, .post = {}},
        report
    );
    CHECK(opened.error() == LogErrc::foreign_ring);
    REQUIRE(report.notes.size() == 1);
    CHECK(report.notes.front().find(own_id) != std::string::npos);
    CHECK(report.notes.front().find("0000000000000abc") != std::string::npos);
    REQUIRE(bench.disk.remove(ring_path(journal, 2)));
    bench.open(here);
    bench.check_records(5);
}

}  // namespace milepost::storage
