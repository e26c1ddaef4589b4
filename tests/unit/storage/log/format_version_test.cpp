// What older versions wrote is read; what newer ones wrote is refused, and not touched.
#include "storage/format/crc32c.hpp"
#include "storage/fs/posix_file_system.hpp"
#include "storage/journal/errc.hpp"
#include "storage/journal/ring_header.hpp"
#include "storage/journal/slot.hpp"
#include "storage/meta/meta_keeper.hpp"
#include "storage/meta/schema.hpp"
#include "tests/support/forgetful_disk.hpp"
#include "tests/support/log_parts.hpp"
#include "tests/support/matchers.hpp"
#include "tests/support/temp_dir.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

namespace milepost::storage {

namespace {

using test::DiskCall;
using test::record;

constexpr const char* ring_file = "/data/journal/ring-00000001";
constexpr std::size_t version_at = 8;         // in header and slot
constexpr std::size_t frame_version_at = 12;  // in a frame
constexpr std::uint16_t newer = journal_version + 1;

LogConfig config_in(const std::filesystem::path& data_dir) {
    LogConfig config;
    config.data_dir = data_dir;
    config.ring_bytes = ring_bytes_min;
    config.limit_bytes = log_limit_bytes_min;
    config.background = false;
    return config;
}

// A log with two checkpoints and frames behind them, on a disk of its own.
class OfANewerVersion {
public:
    OfANewerVersion() {
        auto log = open();
        REQUIRE(log);
        const PartitionId id = (*log)->ensure_topic("t", 1).value()[0];
        for (int i = 0; i < 6; ++i) {
            REQUIRE((*log)->append(id, record("k", "v"), {}));
            (*log)->commit();
            if (i == 1 || i == 3) REQUIRE((*log)->checkpoint_now());
        }
        bytes_ = disk.content(ring_file);
        key_.emplace(decode_ring_header(bytes_).value().key());
    }

    Result<std::unique_ptr<DiskLog>> open() {
        RecoveryReport report;
        return DiskLog::open_for_writing(
            config_in("/data"),
            {.files = disk, .keeper = keeper_, .listener = listener_, .post = {}},
            report
        );
    }

    void mark_header(std::size_t copy) {
        const MutableBytes block = MutableBytes{bytes_}.subspan(copy * block_bytes, block_bytes);
        store_little(block.data() + version_at, newer);
        store_little(block.data() + 4, crc32c(block.subspan(8)));
    }

    void mark_slot(std::size_t area) {
        const MutableBytes slot =
            MutableBytes{bytes_}.subspan(slots_begin + area * slot_area_bytes, slot_area_bytes);
        REQUIRE(load_little<std::uint32_t>(slot.data()) == slot_magic);
        store_little(slot.data() + version_at, newer);
        const auto used = load_little<std::uint32_t>(slot.data() + 12);
        store_little(slot.data() + 4, key_->crc(slot.subspan(8, used - 8)));
    }

    void mark_frame(std::size_t number) {
        const MutableBytes frame =
            MutableBytes{bytes_}.subspan(ring_begin + number * block_bytes, block_bytes);
        REQUIRE(load_little<std::uint32_t>(frame.data()) == frame_magic);
        store_little(frame.data() + frame_version_at, newer);
        store_little(frame.data() + 4, key_->crc(frame.subspan(8, frame_header_bytes - 8)));
    }

    void save() {
        auto file = disk.open(ring_file, OpenMode::write).value();
        REQUIRE(file->write_at(FilePosition{0}, bytes_));
        REQUIRE(file->sync());
    }

    [[nodiscard]] std::uint64_t changes() const {
        return disk.count(DiskCall::write) + disk.count(DiskCall::overwrite) +
               disk.count(DiskCall::truncate) + disk.count(DiskCall::remove) +
               disk.count(DiskCall::rename);
    }

    test::ForgetfulDisk disk;

private:
    Buffer bytes_;
    std::optional<JournalKey> key_;
    test::RecordingKeeper keeper_;
    test::RecordingListener listener_;
};

}  // namespace

TEST_CASE("format version: a newer journal is refused in one line and not changed", "[version]") {
    OfANewerVersion log;
    SECTION("both headers") {
        log.mark_header(0);
        log.mark_header(1);
    }
    SECTION("the first header: it was being upgraded") {
        log.mark_header(0);
    }
    SECTION("the second header") {
        log.mark_header(1);
    }
    SECTION("a slot") {
        log.mark_slot(GENERATE(0U, 1U));
    }
    SECTION("a frame that is needed") {
        log.mark_frame(4);
    }
    SECTION("the last frame") {
        log.mark_frame(5);
    }
    log.save();
    const std::uint64_t before = log.changes();
    const auto opened = log.open();
    REQUIRE_FALSE(opened);
    CHECK(opened.error() == JournalErrc::newer_version);
    CHECK(opened.error().message().find("newer version of Milepost") != std::string::npos);
    CHECK(log.changes() == before);

    RecoveryReport report;
    const auto read_only = DiskLog::open_for_reading("/data", log.disk, report);
    REQUIRE_FALSE(read_only);
    CHECK(read_only.error() == JournalErrc::newer_version);
}

TEST_CASE("format version: what 0.1.0 left is read whole and gone on with", "[version][golden]") {
    test::TempDir dir;
    const auto data = dir.path() / "data";
    std::filesystem::copy(
        MILEPOST_GOLDEN_DATA "/0.1.0",
        data,
        std::filesystem::copy_options::recursive
    );
    PosixFileSystem files;
    auto meta = open_meta(data);
    REQUIRE(meta);
    MetaKeeper keeper{std::move(*meta)};
    test::RecordingListener listener;
    constexpr int readings = 80;
    constexpr int vehicles = 8;

    std::string log_id;
    for (int start = 0; start < 3; ++start) {
        CAPTURE(start);
        RecoveryReport report;
        auto opened = DiskLog::open_for_writing(
            config_in(data),
            {.files = files, .keeper = keeper, .listener = listener, .post = {}},
            report
        );
        REQUIRE(opened);
        DiskLog& log = **opened;
        CHECK_FALSE(report.created);
        CHECK(report.gaps.empty());
        CHECK((start > 0 || report.records_from_journal > 0));
        CHECK((log_id.empty() || log_id == report.log_id));
        log_id = report.log_id;

        std::map<std::string, std::vector<int>> got;  // by vehicle, in the order of the log
        for (const PartitionId id : log.ensure_topic("vehicle.telemetry", 9).value()) {
            for (const std::string& value : test::read_back(log, id, Offset{0}).values) {
                const auto at = value.find("\"n\": ");
                REQUIRE(at != std::string::npos);
                const int number = std::stoi(value.substr(at + 5));
                const std::string vehicle = "V" + std::to_string(number % vehicles);
                REQUIRE(
                    value ==
                    R"({"vehicle": ")" + vehicle + R"(", "n": )" + std::to_string(number) + "}"
                );
                got[vehicle].push_back(number);
            }
        }
        int count = 0;
        for (const auto& [vehicle, numbers] : got) {
            CHECK(std::is_sorted(numbers.begin(), numbers.end()));
            CHECK(std::adjacent_find(numbers.begin(), numbers.end()) == numbers.end());
            count += static_cast<int>(numbers.size());
        }
        CHECK(count == readings);
        const PartitionId other = log.ensure_topic("mqtt.other", 1).value()[0];
        std::vector<std::string> others{"kept"};
        others.insert(others.end(), static_cast<std::size_t>(start), "more");
        CHECK(test::read_back(log, other, Offset{0}).values == others);

        const auto sessions = keeper.sessions();
        REQUIRE(sessions);
        REQUIRE(sessions->size() == 1);
        CHECK(sessions->front().client_id == "kept");
        CHECK_FALSE(sessions->front().state.empty());

        REQUIRE(log.append(other, record("k", "more"), {}));
        log.commit();
        if (start == 1) REQUIRE(log.close());
    }
}

}  // namespace milepost::storage
