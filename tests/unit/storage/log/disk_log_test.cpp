#include "storage/log/disk_log.hpp"

#include "storage/fs/posix_file_system.hpp"
#include "storage/log/errc.hpp"
#include "tests/support/forgetful_disk.hpp"
#include "tests/support/log_parts.hpp"
#include "tests/support/matchers.hpp"
#include "tests/support/temp_dir.hpp"

#include <catch2/catch.hpp>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace milepost::storage {

namespace {

using test::record;
using test::token;

// A small log without threads: checkpoints when the test says so.
LogConfig small_config(const std::filesystem::path& data_dir) {
    LogConfig config;
    config.data_dir = data_dir;
    config.limit_bytes = log_limit_bytes_min * 16;
    config.ring_bytes = ring_bytes_min;
    config.segment_bytes = 64 * kib;
    config.batch_bytes = 8 * kib;
    config.codec = Codec::lz4;
    config.background = false;
    return config;
}

class LogFixture {
public:
    explicit LogFixture(FileSystem& disk, LogConfig wanted)
        : files(disk)
        , config(std::move(wanted)) {
        open();
    }

    void open() {
        log.reset();
        report = {};
        auto opened = DiskLog::open_for_writing(
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
        REQUIRE(opened);
        log = std::move(*opened);
    }

    PartitionId topic(const std::string& name = "t") {
        return log->ensure_topic(name, 2).value()[0];
    }

    // One group of `count` records "<from + i>".
    void put(PartitionId partition, int from, int count) {
        for (int i = from; i < from + count; ++i) {
            const auto packet_id = static_cast<std::uint16_t>(i + 1);
            REQUIRE(log->append(partition, record("k", std::to_string(i)), token(packet_id)));
        }
        log->commit();
    }

    void check_values(PartitionId partition, int count) {
        const auto got = test::read_back(*log, partition, Offset{0});
        REQUIRE(got.values.size() == static_cast<std::size_t>(count));
        for (int i = 0; i < count; ++i) {
            CHECK(got.values[static_cast<std::size_t>(i)] == std::to_string(i));
            CHECK(got.offsets[static_cast<std::size_t>(i)] == i);
        }
    }

    FileSystem& files;
    LogConfig config;
    test::RecordingKeeper keeper;
    test::RecordingListener listener;
    test::PostQueue posts;
    RecoveryReport report;
    std::unique_ptr<DiskLog> log;
};

struct PosixFixture {
    test::TempDir dir;
    PosixFileSystem posix;
    LogFixture parts{posix, small_config(dir.path() / "data")};
};

}  // namespace

TEST_CASE(
    "log: what is committed is acknowledged, visible and there again after a restart",
    "[log]"
) {
    PosixFixture fixture;
    LogFixture& f = fixture.parts;
    CHECK(f.report.created);
    const PartitionId p = f.topic();
    REQUIRE(f.log->append(p, record("k", "0"), token(1)));
    CHECK(f.log->positions(p).appended == Offset{1});
    CHECK(f.log->positions(p).durable == Offset{0});
    CHECK(f.listener.acked.empty());
    f.log->commit();
    CHECK(f.listener.acked == std::vector<std::uint16_t>{1});
    CHECK(f.log->positions(p).durable == Offset{1});
    f.put(p, 1, 9);
    f.check_values(p, 10);

    f.log.reset();  // as if killed: no close
    f.open();
    CHECK(f.report.records_from_journal == 10);
    f.check_values(f.topic(), 10);
}

TEST_CASE("log: after close the segments hold everything and nothing is replayed", "[log]") {
    PosixFixture fixture;
    LogFixture& f = fixture.parts;
    const PartitionId p = f.topic();
    f.put(p, 0, 100);
    REQUIRE(f.log->close());
    f.open();
    CHECK(f.report.records_from_journal == 0);
    CHECK(f.report.bytes_scanned == 0);
    f.check_values(f.topic(), 100);
    f.put(f.topic(), 100, 5);
    f.check_values(f.topic(), 105);
}

TEST_CASE("log: reads go through segments into the tail", "[log]") {
    PosixFixture fixture;
    LogFixture& f = fixture.parts;
    const PartitionId p = f.topic();
    int written = 0;
    for (int round = 0; round < 40; ++round) {
        f.put(p, written, 50);
        written += 50;
        if (round % 3 == 0) REQUIRE(f.log->checkpoint_now());
    }
    f.check_values(p, written);
    f.open();
    f.check_values(f.topic(), written);
}

TEST_CASE("log: a ring many times over, with rolls, keeps every record", "[log]") {
    PosixFixture fixture;
    LogFixture& f = fixture.parts;
    const PartitionId p = f.topic();
    const std::string padding(300, '.');
    int written = 0;
    for (int round = 0; round < 200; ++round) {
        for (int i = 0; i < 30; ++i) {
            const std::string value = std::to_string(written++) + padding;
            REQUIRE(f.log->append(p, record("k", value), {}));
        }
        f.log->commit();
        if (f.log->stats().ring_used_bytes.value() > 128 * 1024) REQUIRE(f.log->checkpoint_now());
    }
    f.open();
    const auto got = test::read_back(*f.log, f.topic(), Offset{0});
    REQUIRE(got.values.size() == static_cast<std::size_t>(written));
    for (int i = 0; i < written; ++i) {
        REQUIRE(got.values[static_cast<std::size_t>(i)] == std::to_string(i) + padding);
    }
}

TEST_CASE("log: a full ring closes the intake, loses nothing, and opens by itself", "[log]") {
    PosixFixture fixture;
    LogFixture& f = fixture.parts;
    const PartitionId p = f.topic();
    std::uint16_t packet_id = 0;
    while (f.log->intake() == IntakeState::open) {
        REQUIRE(f.log->append(p, record("k", std::to_string(packet_id)), token(packet_id + 1)));
        ++packet_id;
        f.log->commit();
        REQUIRE(packet_id < 1000);
    }
    CHECK(f.log->intake() == IntakeState::ring_full);
    CHECK(f.log->append(p, record("k", "x"), {}).error() == LogErrc::intake_closed);
    CHECK(f.listener.acked.size() == packet_id - 1U);
    REQUIRE(f.log->checkpoint_now());
    f.log->commit();
    CHECK(f.log->intake() == IntakeState::open);
    CHECK(f.listener.acked.size() == packet_id);
    f.check_values(p, packet_id);
}

TEST_CASE(
    "log: while syncs fail nothing is acknowledged, and what was durable is served",
    "[log]"
) {
    test::ForgetfulDisk disk;
    LogFixture f{disk, small_config("/data")};
    const PartitionId p = f.topic();
    f.put(p, 0, 3);
    disk.fail(test::DiskCall::overwrite, 1, {.for_ever = true});
    REQUIRE(f.log->append(p, record("k", "3"), token(4)));
    f.log->commit();
    CHECK(f.listener.acked == std::vector<std::uint16_t>{1, 2, 3});
    CHECK(f.log->intake() == IntakeState::sync_failed);
    CHECK(f.log->intake_reason().find("Input/output error") != std::string::npos);
    CHECK(f.log->append(p, record("k", "x"), {}).error() == LogErrc::intake_closed);
    f.check_values(p, 3);
    CHECK_FALSE(f.log->close());
    CHECK(f.listener.acked.size() == 3);
}

TEST_CASE("log: session deltas reach the keeper at a checkpoint, and at a start", "[log]") {
    PosixFixture fixture;
    LogFixture& f = fixture.parts;
    REQUIRE(f.log->append_session("a", as_bytes("one"), token(1)));
    REQUIRE(f.log->append_session("a", as_bytes("two"), {}));
    f.log->commit();
    CHECK(f.listener.acked == std::vector<std::uint16_t>{1});
    CHECK(f.keeper.sessions.empty());
    f.open();
    CHECK(f.report.sessions.size() == 2);
    CHECK(f.keeper.sessions.at("a") == "two");
    REQUIRE(f.log->append_session("b", as_bytes("x"), {}));
    f.log->commit();
    REQUIRE(f.log->checkpoint_now());
    CHECK(f.keeper.sessions.at("b") == "x");
    f.open();
    CHECK(f.report.sessions.empty());
}

TEST_CASE("log: the change of a session is durable with its record", "[log]") {
    PosixFixture fixture;
    LogFixture& f = fixture.parts;
    const PartitionId p = f.log->ensure_topic("t", 1).value().front();
    REQUIRE(f.log->append(p, record("k", "0"), token(1), {"a", as_bytes("1")}));
    REQUIRE(f.log->append(p, record("k", "1"), token(2), {"a", as_bytes("2")}));
    REQUIRE(f.log->append_change({"a", as_bytes("3")}, token(3)));
    f.log->commit();
    CHECK(f.listener.acked == std::vector<std::uint16_t>{1, 2, 3});
    REQUIRE(f.log->append(p, record("k", "lost"), token(4), {"a", as_bytes("4")}));
    f.open();
    CHECK(f.log->positions(p).durable == Offset{2});
    REQUIRE(f.report.sessions.size() == 1);
    CHECK(as_text(f.report.sessions[0].state) == "123");
    CHECK(f.keeper.sessions.at("a") == "123");
}

TEST_CASE("log: a checkpoint whose deltas are not kept frees nothing", "[log]") {
    PosixFixture fixture;
    LogFixture& f = fixture.parts;
    REQUIRE(f.log->append_session("a", as_bytes("one"), {}));
    f.log->commit();
    f.keeper.fails = true;
    CHECK_FALSE(f.log->checkpoint_now());
    f.keeper.fails = false;
    f.open();
    CHECK(f.report.sessions.size() == 1);
}

TEST_CASE("log: it opens when the keeper can take nothing in, and folds at a checkpoint", "[log]") {
    PosixFixture fixture;
    LogFixture& f = fixture.parts;
    REQUIRE(f.log->append_session("a", as_bytes("one"), {}));
    f.log->commit();
    f.keeper.fails = true;
    f.open();
    CHECK(f.report.sessions.size() == 1);
    CHECK(f.report.notes.size() == 1);
    CHECK_FALSE(f.log->checkpoint_now());
    f.keeper.fails = false;
    REQUIRE(f.log->checkpoint_now());
    CHECK(f.keeper.sessions.at("a") == "one");
    f.open();
    CHECK(f.report.sessions.empty());
}

TEST_CASE("log: tokens without a record keep their place and need no disk", "[log]") {
    PosixFixture fixture;
    LogFixture& f = fixture.parts;
    f.log->append_token(token(1));
    f.log->commit();
    CHECK(f.listener.acked == std::vector<std::uint16_t>{1});
    CHECK(f.log->stats().groups.value() == 0);
}

TEST_CASE("log: a topic keeps the number of partitions it was made with", "[log]") {
    PosixFixture fixture;
    LogFixture& f = fixture.parts;
    CHECK(f.log->ensure_topic("wide", 4).value().size() == 4);
    CHECK(f.log->ensure_topic("wide", 2).value().size() == 4);
    CHECK(f.log->ensure_topic("no/topic", 1).error() == LogErrc::bad_topic);
    REQUIRE(f.log->append(f.log->ensure_topic("wide", 4).value()[1], record("k", "v"), {}));
    f.log->commit();
    f.open();
    CHECK(f.log->ensure_topic("wide", 8).value().size() == 4);
}

TEST_CASE("log: forwarded never goes down and never over durable", "[log]") {
    PosixFixture fixture;
    LogFixture& f = fixture.parts;
    const PartitionId p = f.topic();
    f.put(p, 0, 10);
    f.log->set_forwarded(p, Offset{5});
    f.log->set_forwarded(p, Offset{3});
    CHECK(f.log->positions(p).forwarded == Offset{5});
    f.log->set_forwarded(p, Offset{50});
    CHECK(f.log->positions(p).forwarded == Offset{10});
}

TEST_CASE("log: reading outside start and durable is an error, at durable it is nothing", "[log]") {
    PosixFixture fixture;
    LogFixture& f = fixture.parts;
    const PartitionId p = f.topic();
    f.put(p, 0, 2);
    Buffer buffer;
    CHECK(f.log->read(p, Offset{2}, 100, buffer).value().batches.empty());
    CHECK(f.log->read(p, Offset{3}, 100, buffer).error() == LogErrc::offset_out_of_range);
    CHECK(f.log->read(p, Offset{-1}, 100, buffer).error() == LogErrc::offset_out_of_range);
    CHECK(f.log->read(PartitionId{99}, Offset{0}, 1, buffer).error() == LogErrc::unknown_partition);
}

TEST_CASE("log: a folder is owned by one", "[log]") {
    PosixFixture fixture;
    RecoveryReport report;
    const auto second =
        DiskLog::open_for_reading(fixture.parts.config.data_dir, fixture.posix, report);
    REQUIRE_FALSE(second);
    CHECK(second.error() == LogErrc::folder_in_use);
}

TEST_CASE("log: read only, everything is served and nothing is written", "[log]") {
    test::ForgetfulDisk disk;
    LogFixture f{disk, small_config("/data")};
    const PartitionId p = f.topic();
    f.put(p, 0, 20);
    REQUIRE(f.log->checkpoint_now());
    f.put(p, 20, 20);
    f.log.reset();
    const auto writes = disk.count(test::DiskCall::write) + disk.count(test::DiskCall::overwrite) +
                        disk.count(test::DiskCall::truncate) + disk.count(test::DiskCall::remove);
    RecoveryReport report;
    auto opened = DiskLog::open_for_reading("/data", disk, report);
    REQUIRE(opened);
    CHECK(report.records_from_journal == 20);
    const auto id = (*opened)->find({.topic = "t", .partition = 0});
    REQUIRE(id.has_value());
    CHECK(test::read_back(**opened, *id, Offset{0}).values.size() == 40);
    CHECK((*opened)->append(*id, record("k", "v"), {}).error() == LogErrc::intake_closed);
    CHECK(
        disk.count(test::DiskCall::write) + disk.count(test::DiskCall::overwrite) +
            disk.count(test::DiskCall::truncate) + disk.count(test::DiskCall::remove) ==
        writes
    );
}

TEST_CASE("log: without its journal it goes on behind the segments", "[log]") {
    PosixFixture fixture;
    LogFixture& f = fixture.parts;
    f.put(f.topic(), 0, 50);
    REQUIRE(f.log->close());
    f.log.reset();
    std::filesystem::remove_all(f.config.data_dir / "journal");
    f.open();
    CHECK_FALSE(f.report.created);
    f.put(f.topic(), 50, 5);
    f.check_values(f.topic(), 55);
    f.open();
    f.check_values(f.topic(), 55);
}

TEST_CASE("log: a ring that was never finished takes no space from the next one", "[log]") {
    PosixFixture fixture;
    LogFixture& f = fixture.parts;
    f.put(f.topic(), 0, 50);
    REQUIRE(f.log->close());
    f.log.reset();
    const auto journal = f.config.data_dir / "journal";
    std::filesystem::remove_all(journal);
    std::filesystem::create_directory(journal);
    const auto left = journal / "ring-00000003.new";  // of another generation
    std::ofstream{left} << std::string(4096, 'x');
    f.open();
    CHECK_FALSE(std::filesystem::exists(left));
    f.check_values(f.topic(), 50);
}

TEST_CASE("log: a timestamp is found in segments and in the tail", "[log]") {
    PosixFixture fixture;
    LogFixture& f = fixture.parts;
    const PartitionId p = f.topic();
    for (int i = 0; i < 20; ++i) {
        RecordView view = record("k", "v");
        view.timestamp = Timestamp{1000 + i * 10};
        REQUIRE(f.log->append(p, view, {}));
        f.log->commit();
        if (i == 9) REQUIRE(f.log->checkpoint_now());
    }
    CHECK(f.log->find_timestamp(p, Timestamp{0}).value() == Offset{0});
    CHECK(f.log->find_timestamp(p, Timestamp{1041}).value() == Offset{5});
    CHECK(f.log->find_timestamp(p, Timestamp{1150}).value() == Offset{15});
    CHECK(f.log->find_timestamp(p, Timestamp{9999}).value() == Offset{20});
}

TEST_CASE("log: below the reserve no reading is taken, and sessions still are", "[log]") {
    test::ForgetfulDisk disk;
    disk.set_capacity(80 * mib);
    LogConfig config = small_config("/data");
    config.limit_bytes = 75 * mib;
    LogFixture f{disk, config};
    const PartitionId p = f.topic();
    REQUIRE(f.log->append(p, record("k", "0"), {}));
    f.log->commit();
    f.log.reset();
    disk.set_capacity(3 * mib);
    f.open();
    CHECK(f.log->intake() == IntakeState::disk_reserve);
    CHECK(f.log->append(f.topic(), record("k", "1"), {}).error() == LogErrc::intake_closed);
    CHECK(f.log->append_session("c", as_bytes("s"), token(9)));
    f.log->commit();
    CHECK(f.listener.acked == std::vector<std::uint16_t>{9});
    f.check_values(f.topic(), 1);
}

TEST_CASE("log: with a committer of its own acks come in order on the owner's thread", "[log]") {
    test::TempDir dir;
    PosixFileSystem posix;
    LogConfig config = small_config(dir.path() / "data");
    config.background = true;
    config.committer = CommitterThread::always_own;
    LogFixture f{posix, config};
    const PartitionId p = f.topic();
    int written = 0;
    for (int round = 0; round < 100; ++round) {
        f.put(p, written, 10);
        written += 10;
        if (round % 7 == 0) {
            f.posts.run_until([&] { return f.listener.acked.size() == std::size_t(written); });
        }
    }
    REQUIRE(f.log->close());
    REQUIRE(f.listener.acked.size() == static_cast<std::size_t>(written));
    for (int i = 0; i < written; ++i) {
        REQUIRE(f.listener.acked[static_cast<std::size_t>(i)] == i + 1);
    }
    f.open();
    f.check_values(f.topic(), written);
}

TEST_CASE("log: with its threads a small ring wraps under load and everything is there", "[log]") {
    test::TempDir dir;
    PosixFileSystem posix;
    LogConfig config = small_config(dir.path() / "data");
    config.background = true;
    LogFixture f{posix, config};
    const auto partitions = f.log->ensure_topic("load", 4).value();
    const std::string padding(200, 'x');
    std::vector<int> written(4, 0);
    for (int round = 0; round < 500; ++round) {
        for (int i = 0; i < 20; ++i) {
            const auto at = static_cast<std::size_t>((round + i) % 4);
            while (!f.log->append(partitions[at], record("k", padding), {}))
                f.posts.run_one();
            ++written[at];
        }
        f.log->commit();
    }
    REQUIRE(f.log->close());
    f.open();
    for (std::size_t i = 0; i < 4; ++i) {
        const auto id = f.log->find({.topic = "load", .partition = int(i)});
        CHECK(test::read_back(*f.log, *id, Offset{0}).values.size() == std::size_t(written[i]));
    }
}

TEST_CASE("log: readers beside the writer see a growing prefix and nothing else", "[log]") {
    test::TempDir dir;
    PosixFileSystem posix;
    LogConfig config = small_config(dir.path() / "data");
    config.background = true;
    LogFixture f{posix, config};
    const PartitionId p = f.topic();
    constexpr int total = 20'000;
    std::atomic<bool> wrong{false};
    const auto follow = [&](std::size_t bytes_max) {
        Offset from{0};
        while (from < Offset{total} && !wrong) {
            const Positions positions = f.log->positions(p);
            if (from == positions.durable) {
                std::this_thread::yield();
                continue;
            }
            const auto got = test::read_back(*f.log, p, from, bytes_max);
            for (std::size_t i = 0; i < got.values.size(); ++i) {
                if (got.values[i] != std::to_string(from.value() + std::int64_t(i))) wrong = true;
            }
            from += static_cast<std::int64_t>(got.values.size());
            f.log->set_forwarded(p, from);
        }
    };
    std::jthread near{[&] {
        follow(300);
    }};
    std::jthread far{[&] {
        follow(100'000);
    }};
    for (int written = 0; written < total;) {
        const int group = 1 + written % 97;
        for (int i = 0; i < group && written < total; ++i) {
            const std::string value = std::to_string(written);
            while (!f.log->append(p, record("k", value), {}))
                f.posts.run_one();
            ++written;
        }
        f.log->commit();
    }
    f.posts.run_until([&] {
        f.log->commit();
        return f.log->positions(p).durable == Offset{total};
    });
    near.join();
    far.join();
    CHECK_FALSE(wrong);
    CHECK(f.log->positions(p).forwarded == Offset{total});
}

}  // namespace milepost::storage
