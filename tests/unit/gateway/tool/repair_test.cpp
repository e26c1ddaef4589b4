// The commands verify, repair and adopt on a folder of real files.
#include "gateway/listener/session_state.hpp"
#include "gateway/tool/commands.hpp"
#include "gateway/tool/failure.hpp"
#include "gateway/tool/meta_look.hpp"
#include "storage/fs/posix_file_system.hpp"
#include "storage/log/log.hpp"
#include "storage/meta/meta_keeper.hpp"
#include "storage/meta/position_store.hpp"
#include "storage/meta/schema.hpp"
#include "storage/meta/session_store.hpp"
#include "tests/support/log_parts.hpp"
#include "tests/support/matchers.hpp"
#include "tests/support/temp_dir.hpp"

#include <catch2/catch.hpp>

#include <filesystem>
#include <fstream>
#include <string>

namespace milepost::tool {

namespace {

// A stopped gateway's folder: one segment of ten batches of one record each.
struct Folder {
    Folder() {
        with_log([](storage::Log& log) {
            const auto partition = log.ensure_topic("t", 1).value().front();
            for (int i = 0; i < 10; ++i) {
                REQUIRE(log.append(partition, test::record("k", std::string(500, 'v')), {}));
            }
            log.commit();
            REQUIRE(log.close());
        });
    }

    // A gateway that does `work`, and is killed where that does not close the log.
    template <class Work>
    void with_log(Work work) const {
        auto meta = storage::open_meta(dir.path());
        REQUIRE(meta);
        storage::MetaKeeper keeper{std::move(*meta), listener::merge_session_states};
        test::RecordingListener listener;
        storage::LogConfig config;
        config.data_dir = dir.path();
        config.ring_bytes = storage::ring_bytes_min;
        config.batch_bytes = 1;
        config.codec = storage::Codec::none;
        config.background = false;
        storage::RecoveryReport report;
        auto log = storage::Log::open(
            config,
            {.files = files, .keeper = keeper, .listener = listener, .post = {}},
            report
        );
        REQUIRE(log);
        work(**log);
    }

    void change(const std::filesystem::path& file, std::streamoff at) const {
        std::fstream stream{dir.path() / file, std::ios::in | std::ios::out | std::ios::binary};
        REQUIRE(stream.seekp(at).put('x'));
    }

    [[nodiscard]] int verify() const {
        return run(VerifyOptions{.data_dir = text(), .json = true});
    }

    [[nodiscard]] int repair(bool yes) const {
        return run(RepairOptions{.data_dir = text(), .yes = yes, .json = true});
    }

    [[nodiscard]] std::string text() const { return dir.path().string(); }

    [[nodiscard]] bool exists(const std::filesystem::path& file) const {
        return std::filesystem::exists(dir.path() / file);
    }

    // The door, for what only reads.
    [[nodiscard]] storage::FileSystem& storage() const { return files; }

    test::TempDir dir;
    mutable storage::PosixFileSystem files;
};

constexpr const char* segment = "t-0/00000000000000000000.log";

}  // namespace

TEST_CASE("repair command: what it would do is done with --yes, then all is sound", "[repair]") {
    const Folder folder;
    CHECK(folder.verify() == exit_good);
    CHECK(folder.repair(false) == exit_good);
    folder.change(segment, 1000);
    CHECK(folder.verify() == exit_run_time);
    CHECK(folder.repair(false) == exit_good);
    CHECK(folder.verify() == exit_run_time);
    CHECK_FALSE(folder.exists(std::string{segment} + ".damaged-1"));
    CHECK(folder.repair(true) == exit_good);
    CHECK(folder.exists(std::string{segment} + ".damaged-1"));
    CHECK(folder.verify() == exit_good);
    CHECK(look_at_meta(folder.dir.path()).gaps.size() == 1);
    CHECK(folder.repair(true) == exit_good);
    CHECK_FALSE(folder.exists(std::string{segment} + ".damaged-2"));
}

TEST_CASE("repair command: a damaged meta.db is damage, is kept, and made anew", "[repair]") {
    const Folder folder;
    folder.change("meta.db", 3);
    CHECK(look_at_meta(folder.dir.path()).is_damaged);
    CHECK(folder.verify() == exit_run_time);
    CHECK(folder.repair(true) == exit_good);
    CHECK(folder.exists("meta.db.damaged-1"));
    CHECK_FALSE(look_at_meta(folder.dir.path()).is_damaged);
    CHECK(folder.verify() == exit_good);
}

TEST_CASE("adopt command: positions go over to the new id unless told otherwise", "[adopt]") {
    const Folder folder;
    const auto log_id = [&] {
        storage::RecoveryReport report;
        auto log = storage::Log::open_read_only(folder.dir.path(), folder.storage(), report);
        REQUIRE(log);
        return std::string{(*log)->log_id()};
    };
    const storage::ForwardPosition position{
        .partition = {"t", 0},
        .forwarded = storage::Offset{4},
        .in_kafka = storage::Offset{3}};
    {
        auto meta = storage::open_meta(folder.dir.path());
        REQUIRE(meta);
        REQUIRE(storage::PositionStore{*meta}.save(log_id(), {&position, 1}));
    }
    const auto forwarded = [&] {
        auto meta = storage::open_meta(folder.dir.path());
        REQUIRE(meta);
        return storage::PositionStore{*meta}.load(log_id()).value();
    };
    const auto old_id = log_id();
    CHECK(run(AdoptOptions{.data_dir = folder.text(), .json = true}) == exit_good);
    CHECK(log_id() != old_id);
    REQUIRE(forwarded().size() == 1);
    CHECK(forwarded().front() == position);
    CHECK(folder.verify() == exit_good);
    CHECK(
        run(AdoptOptions{.data_dir = folder.text(), .from_start = true, .json = true}) == exit_good
    );
    CHECK(forwarded().empty());
}

TEST_CASE(
    "adopt command: what is kept of sessions stays, also what only the journal has",
    "[adopt]"
) {
    const Folder folder;
    const auto state_now = [&] {
        auto meta = storage::open_meta(folder.dir.path());
        REQUIRE(meta);
        const auto sessions = storage::SessionStore{*meta}.load();
        REQUIRE(sessions);
        REQUIRE(sessions->size() == 1);
        return listener::decode_session_state(sessions->front().state);
    };
    using Change = listener::SessionChangeBytes;
    folder.with_log([](storage::Log& log) {
        const auto begun = Change::header(300, timestamp_none);
        REQUIRE(log.append_session("V1", begun.bytes(), {}));
        log.commit();
        REQUIRE(log.close());
    });
    folder.with_log([](storage::Log& log) {
        const auto received = Change::received({.hash = 1, .packet_id = 7});
        REQUIRE(log.append_change({"V1", received.bytes()}, {}));
        log.commit();  // and is killed
    });
    CHECK(run(AdoptOptions{.data_dir = folder.text(), .json = true}) == exit_good);
    const auto state = state_now();
    REQUIRE(state);
    CHECK(state->expiry_s == 300);
    CHECK(state->memory.unreleased.find(7) != nullptr);
}

TEST_CASE("repair command: a folder in use, or none, is exit code 2", "[repair]") {
    const Folder folder;
    const auto lock = storage::PosixFileSystem{}.lock(folder.dir.path() / "lock");
    REQUIRE(lock);
    const auto code = [](const std::string& path) {
        try {
            return run(RepairOptions{.data_dir = path, .yes = true, .json = true});
        } catch (const Failure& failure) {
            return static_cast<int>(failure.code());
        }
    };
    CHECK(code(folder.text()) == exit_nothing_there);
    CHECK(code(folder.text() + "/none") == exit_nothing_there);
}

}  // namespace milepost::tool
