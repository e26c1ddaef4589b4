// The gap ledger in meta.db and the log whose gaps it has, when the one is there without the other.
#include "storage/fs/posix_file_system.hpp"
#include "storage/log/adopt.hpp"
#include "storage/log/disk_log.hpp"
#include "storage/meta/carry_over.hpp"
#include "storage/meta/meta_keeper.hpp"
#include "storage/meta/schema.hpp"
#include "tests/support/log_parts.hpp"
#include "tests/support/matchers.hpp"
#include "tests/support/temp_dir.hpp"

#include <catch2/catch.hpp>

#include <memory>
#include <string>

namespace milepost::storage {

namespace {

class OwnFolder {
public:
    OwnFolder() {
        config_.data_dir = dir_.path() / "data";
        config_.ring_bytes = ring_bytes_min;
        config_.limit_bytes = log_limit_bytes_min;
        config_.segment_bytes = 64 * kib;
        config_.batch_bytes = 4 * kib;
        config_.codec = Codec::none;
        config_.full = FullPolicy::drop_oldest;
        config_.background = false;
        std::filesystem::create_directory(config_.data_dir);
    }

    void open() {
        stop();
        keeper = std::make_unique<MetaKeeper>(open_meta(config_.data_dir).value());
        RecoveryReport report;
        auto opened = DiskLog::open_for_writing(
            config_,
            {.files = files_, .keeper = *keeper, .listener = listener_, .post = {}},
            report
        );
        REQUIRE(opened);
        log = std::move(*opened);
        id_ = log->ensure_topic("t", 1).value().front();
    }

    void stop() {
        log.reset();
        keeper.reset();
    }

    void put(int count) {
        for (int i = 0; i < count; ++i) {
            REQUIRE(log->append(id_, test::record("k", std::string(1000, 'v')), {}));
            if (i % 40 != 39) continue;
            log->commit();
            REQUIRE(log->checkpoint_now());
        }
    }

    // More than the log may hold: the oldest ones go, and the ledger says so.
    void put_too_many() {
        for (int i = 0; i < 40; ++i) {
            put(120);
            REQUIRE(log->retain_now());
        }
        REQUIRE(start() > 0);
        REQUIRE_FALSE(keeper->known_gaps().empty());
        REQUIRE(log->close());
    }

    void remove(const char* name) { std::filesystem::remove_all(config_.data_dir / name); }

    Result<Adoption> adopt() {
        stop();
        MetaKeeper own{open_meta(config_.data_dir).value()};
        auto connection = open_meta(config_.data_dir).value();
        return adopt_log(
            files_,
            config_.data_dir,
            own,
            {.machine_id_hash = 7,
             .before =
                 [&](std::string_view from, std::string_view to) {
                     return carry_over(connection, from, to, true);
                 }}
        );
    }

    [[nodiscard]] std::int64_t start() const { return log->positions(id_).start.value(); }

    [[nodiscard]] std::int64_t durable() const { return log->positions(id_).durable.value(); }

    [[nodiscard]] std::int64_t lost() const {
        std::int64_t sum = 0;
        for (const Gap& gap : keeper->gaps().value())
            sum += gap.records;
        return sum;
    }

    std::unique_ptr<MetaKeeper> keeper;
    std::unique_ptr<DiskLog> log;

private:
    test::TempDir dir_;
    PosixFileSystem files_;
    test::RecordingListener listener_;
    LogConfig config_;
    PartitionId id_{};
};

}  // namespace

TEST_CASE("ledger: a new log in the folder of an old one keeps its readings", "[meta]") {
    OwnFolder folder;
    folder.open();
    folder.put_too_many();
    folder.stop();
    folder.remove("journal");
    folder.remove("t-0");
    folder.open();
    CHECK(folder.durable() == 0);
    folder.put(400);
    for (int start = 0; start < 2; ++start) {
        folder.open();
        CHECK(folder.start() == 0);
        CHECK(folder.durable() == 400);
        CHECK(folder.lost() == 0);
    }
}

TEST_CASE("ledger: a journal that was lost takes no losses with it", "[meta]") {
    OwnFolder folder;
    folder.open();
    folder.put_too_many();
    const auto lost = folder.lost();
    const auto start = folder.start();
    CHECK(lost == start);
    folder.stop();
    folder.remove("journal");
    for (int again = 0; again < 2; ++again) {
        folder.open();
        CHECK(folder.lost() == lost);
        CHECK(folder.start() == start);
    }
}

TEST_CASE("ledger: an adopted log keeps its losses", "[meta]") {
    OwnFolder folder;
    folder.open();
    folder.put_too_many();
    const auto lost = folder.lost();
    REQUIRE(folder.adopt());
    folder.open();
    CHECK(folder.lost() == lost);
    CHECK(folder.start() == lost);
}

}  // namespace milepost::storage
