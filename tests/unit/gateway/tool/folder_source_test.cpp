#include "gateway/listener/session_state.hpp"
#include "gateway/tool/chunk_records.hpp"
#include "gateway/tool/failure.hpp"
#include "gateway/tool/log_source.hpp"
#include "storage/fs/posix_file_system.hpp"
#include "storage/log/log.hpp"
#include "storage/meta/position_store.hpp"
#include "storage/meta/schema.hpp"
#include "tests/support/log_parts.hpp"
#include "tests/support/matchers.hpp"
#include "tests/support/temp_dir.hpp"

#include <catch2/catch.hpp>

#include <fstream>
#include <iterator>
#include <map>

using namespace milepost;
using namespace milepost::tool;

namespace {

// A real folder that a gateway left behind.
struct Folder {
    test::TempDir dir;
    std::filesystem::path data = dir.path() / "data";
    storage::PosixFileSystem files;
    test::RecordingKeeper keeper;
    test::RecordingListener listener;
    test::PostQueue posts;
    std::unique_ptr<storage::Log> log;

    Folder() {
        storage::LogConfig config;
        config.data_dir = data;
        config.limit_bytes = 64 * mib;
        config.ring_bytes = storage::ring_bytes_min;
        config.background = false;
        storage::RecoveryReport report;
        auto opened = storage::Log::open(
            config,
            {.files = files,
             .keeper = keeper,
             .listener = listener,
             .post =
                 [this](std::function<void()> function) {
                     posts.post(std::move(function));
                 }},
            report
        );
        REQUIRE(opened.has_value());
        log = std::move(*opened);
        const auto partition = log->ensure_topic("t.x", 2).value()[1];
        for (const auto* value : {"a", "b", "c"}) {
            REQUIRE(log->append(partition, test::record("V1", value), std::nullopt).has_value());
        }
        log->commit();
    }

    void save_position(std::int64_t forwarded) {
        auto meta = storage::open_meta(data);
        REQUIRE(meta.has_value());
        storage::PositionStore store{*meta};
        const storage::ForwardPosition position{{"t.x", 1}, storage::Offset{forwarded}};
        REQUIRE(store.save(log->log_id(), {&position, 1}).has_value());
    }

    // Every file below the folder with its bytes.
    [[nodiscard]] std::map<std::string, std::string> bytes() const {
        std::map<std::string, std::string> all;
        for (const auto& entry : std::filesystem::recursive_directory_iterator{data}) {
            if (!entry.is_regular_file()) continue;
            std::ifstream stream{entry.path(), std::ios::binary};
            all[entry.path().string()] = {std::istreambuf_iterator<char>{stream}, {}};
        }
        return all;
    }
};

std::string values(LogSource& source) {
    std::string all;
    Buffer scratch;
    const auto chunk = source.read({"t.x", 1}, storage::Offset{0}, mib);
    for_each_record(
        chunk.batches,
        storage::Offset{0},
        scratch,
        [&](const storage::StoredRecord& record) {
            all += as_text(*record.value);
            return true;
        }
    );
    return all;
}

}  // namespace

TEST_CASE(
    "folder source: a killed gateway's records are there, and nothing is written",
    "[source]"
) {
    Folder folder;
    folder.save_position(2);
    SECTION("killed") {
        folder.log.reset();
    }
    SECTION("stopped") {
        REQUIRE(folder.log->close().has_value());
        folder.log.reset();
    }
    const auto before = folder.bytes();
    {
        const auto source = open_folder(folder.data.string());
        CHECK(values(*source) == "abc");
        const auto status = source->status();
        CHECK_FALSE(status.is_running);
        CHECK(status.log_id.size() == 16);
        REQUIRE(status.partitions.size() == 2);
        CHECK(status.partitions[1].forwarded == std::optional{storage::Offset{2}});
        CHECK(status.partitions[1].lag() == 1);
        CHECK(status.partitions[0].lag() == 0);
        CHECK(source->find_timestamp({"t.x", 1}, Timestamp{0}) == storage::Offset{0});
        CHECK_FALSE(source->wait({"t.x", 1}, storage::Offset{3}, std::chrono::seconds{1}));
    }
    CHECK(folder.bytes() == before);
}

TEST_CASE("folder source: what a bridge had counted when it was killed is told", "[source]") {
    using Change = listener::SessionChangeBytes;
    Folder folder;
    const std::string row{"\0bplant", 7};
    for (const auto& change : {Change::header(0, timestamp_none), Change::accepted(2)}) {
        REQUIRE(folder.log->append_change({row, change.bytes()}, {}));
    }
    folder.log->commit();
    folder.log.reset();
    CHECK(open_folder(folder.data.string())->status().accepted_by_bridges == 2);
}

TEST_CASE("folder source: what was never forwarded has no position", "[source]") {
    Folder folder;
    folder.log.reset();
    for (const auto& facts : open_folder(folder.data.string())->partitions()) {
        CHECK_FALSE(facts.forwarded);
    }
}

TEST_CASE(
    "folder source: a folder without a log, or of a running gateway, is refused",
    "[source]"
) {
    const auto code_of = [](const std::filesystem::path& data) {
        try {
            static_cast<void>(open_folder(data.string()));
        } catch (const Failure& failure) {
            return static_cast<int>(failure.code());
        }
        return 0;
    };
    Folder folder;
    CHECK(code_of(folder.data) == 2);
    CHECK(code_of(folder.dir.path()) == 2);
    CHECK(code_of("/nonexistent") == 2);
}
