// A script of groups, checkpoints and sessions runs on the forgetful disk while syncs fail and the
// machine dies, and a model says what must be there afterwards.
#include "storage/log/ring_renewal.hpp"

#include "storage/fs/posix_file_system.hpp"
#include "storage/log/errc.hpp"
#include "tests/support/forgetful_disk.hpp"
#include "tests/support/log_parts.hpp"
#include "tests/support/matchers.hpp"
#include "tests/support/temp_dir.hpp"

#include <catch2/catch.hpp>

#include <array>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace milepost::storage {

namespace {

using test::DiskCall;
using test::ForgetfulDisk;
using test::record;
using test::token;

constexpr std::size_t partition_count = 3;
constexpr int script_groups = 14;

LogConfig script_config(const std::filesystem::path& data_dir = "/data") {
    LogConfig config;
    config.data_dir = data_dir;
    config.limit_bytes = log_limit_bytes_min * 16;
    config.ring_bytes = ring_bytes_min;
    config.segment_bytes = 16 * kib;
    config.batch_bytes = 2 * kib;
    config.codec = Codec::lz4;
    config.background = false;
    config.renewal_pause = std::chrono::milliseconds{0};
    return config;
}

class World {
public:
    explicit World(FileSystem& disk, LogConfig config = script_config())
        : files_(disk)
        , config_(std::move(config)) {
        REQUIRE(open());
    }

    bool open() {
        log.reset();
        listener.acked.clear();
        sent_.clear();
        report = {};
        auto opened = DiskLog::open_for_writing(
            config_,
            {.files = files_,
             .keeper = keeper,
             .listener = listener,
             .post =
                 [this](std::function<void()> function) {
                     posts.post(std::move(function));
                 }},
            report
        );
        if (!opened) return false;
        log = std::move(*opened);
        const auto topic = log->ensure_topic("t", partition_count);
        if (topic) partitions_ = *topic;
        return topic.has_value();
    }

    // Appends a few records and a session's state, and commits. What is not taken in is not sent.
    void put_group() {
        for (std::size_t at = 0; at < partition_count; ++at) {
            if (group_ % partition_count == at) continue;
            const std::string value = std::to_string(at) + ":" + std::to_string(next_value_++) +
                                      std::string(100 + group_ % 5 * 300, '.');
            const auto number = static_cast<std::uint16_t>(sent_.size());
            const auto given = log->append(partitions_[at], record("k", value), token(number));
            if (!given) continue;
            REQUIRE(given->value() == std::int64_t(model_[at].size()));
            model_[at].push_back(value);
            sent_.push_back({at, model_[at].size()});
        }
        const auto number = static_cast<std::uint16_t>(sent_.size());
        const std::string state = std::to_string(next_value_++);
        if (log->append_session("c", as_bytes(state), token(number))) {
            sent_.push_back({partition_count, next_value_});
            sent_sessions_.push_back(state);
        }
        ++group_;
        log->commit();
    }

    void run_script() {
        for (int i = 0; i < script_groups; ++i) {
            put_group();
            if (i % 5 == 4) (void)log->checkpoint_now().has_error();
        }
    }

    // Every token that was sent has come back, once, in its order.
    [[nodiscard]] bool all_acked() const {
        return acks_in_order() && listener.acked.size() == sent_.size();
    }

    [[nodiscard]] bool acks_in_order() const {
        for (std::size_t i = 0; i < listener.acked.size(); ++i) {
            if (listener.acked[i] != i) return false;
        }
        return true;
    }

    // What acks promised counts from here on; the process is gone.
    void die() {
        REQUIRE(acks_in_order());
        for (const std::uint16_t number : listener.acked) {
            const auto& [at, end] = sent_[number];
            if (at < partition_count) acked_[at] = std::max(acked_[at], end);
        }
        log.reset();
    }

    // What is there is what was appended, acknowledged readings are there, nothing is missing.
    void check() {
        CHECK(report.gaps.empty());
        for (std::size_t at = 0; at < partition_count; ++at) {
            INFO("partition " << at);
            const auto got = test::read_back(*log, partitions_[at], Offset{0});
            REQUIRE(got.values.size() >= acked_[at]);
            REQUIRE(got.values.size() <= model_[at].size());
            for (std::size_t i = 0; i < got.values.size(); ++i) {
                REQUIRE(got.offsets[i] == std::int64_t(i));
                REQUIRE(got.values[i] == model_[at][i]);
            }
            // A reader has seen them: they stay.
            acked_[at] = got.values.size();
            model_[at].resize(got.values.size());
        }
    }

    [[nodiscard]] std::size_t durable_records() const {
        std::size_t count = 0;
        for (const PartitionId id : partitions_) {
            count += static_cast<std::size_t>(log->positions(id).durable.value());
        }
        return count;
    }

    [[nodiscard]] const std::vector<std::string>& sent_sessions() const { return sent_sessions_; }

    test::RecordingKeeper keeper;
    test::RecordingListener listener;
    test::PostQueue posts;
    RecoveryReport report;
    std::unique_ptr<DiskLog> log;

private:
    FileSystem& files_;
    LogConfig config_;
    std::vector<PartitionId> partitions_;
    std::array<std::vector<std::string>, partition_count> model_;  // by offset
    std::array<std::size_t, partition_count> acked_{};
    std::vector<std::pair<std::size_t, std::size_t>> sent_;  // by token: partition, end
    std::vector<std::string> sent_sessions_;
    std::size_t group_ = 0;
    std::size_t next_value_ = 0;
};

// Comes back after a power cut or a kill, is whole, works on, and is whole again.
void check_comes_back(World& world, ForgetfulDisk& disk, bool power) {
    world.die();
    disk.clear_faults();
    power ? disk.power_cut() : disk.kill_process();
    REQUIRE(world.open());
    world.check();
    world.run_script();
    REQUIRE(world.all_acked());
    world.die();
    disk.power_cut();
    REQUIRE(world.open());
    world.check();
}

}  // namespace

TEST_CASE("renewal: a sync that fails once costs a ring and nothing else", "[renewal]") {
    ForgetfulDisk disk;
    World world{disk};
    world.put_group();
    disk.fail(DiskCall::overwrite, 1);
    world.put_group();
    CHECK(world.all_acked());
    CHECK(world.log->intake() == IntakeState::open);
    CHECK(world.log->stats().ring_generations.value() == 1);
    CHECK(world.listener.new_rings == std::vector<std::string>{"Input/output error"});
    CHECK_FALSE(disk.exists("/data/journal/ring-00000001"));
    CHECK(disk.exists("/data/journal/ring-00000002"));
    // The group that failed was there before no reader saw it; the Keeper has the states before it.
    CHECK(world.keeper.sessions.at("c") == world.sent_sessions()[0]);
    world.run_script();
    CHECK(world.all_acked());
    check_comes_back(world, disk, true);
    CHECK(world.keeper.sessions.at("c") == world.sent_sessions().back());
}

TEST_CASE(
    "renewal: any call that fails once, at any time, costs no reading and no ack",
    "[renewal]"
) {
    const auto call = GENERATE(
        DiskCall::overwrite,
        DiskCall::write,
        DiskCall::sync,
        DiskCall::sync_directory,
        DiskCall::rename,
        DiskCall::open,
        DiskCall::truncate,
        DiskCall::remove,
        DiskCall::list
    );
    const bool power = GENERATE(false, true);
    CAPTURE(name(call), power);
    for (std::uint64_t k = 1;; ++k) {
        CAPTURE(k);
        ForgetfulDisk disk{k};
        World world{disk};
        disk.fail(DiskCall::overwrite, 4);  // so that there is a renewal in any case
        const std::uint64_t before = disk.count(call);
        disk.fail(call, k);
        world.run_script();
        const bool was_hit = disk.count(call) - before >= k;
        for (int i = 0; i < 3; ++i)
            world.log->commit();
        CHECK(world.log->intake() == IntakeState::open);
        REQUIRE(world.all_acked());
        check_comes_back(world, disk, power);
        if (!was_hit) break;
    }
}

TEST_CASE("renewal: while syncs fail nothing is taken in, and it opens by itself", "[renewal]") {
    for (std::uint64_t k = 1; k <= 12; ++k) {
        CAPTURE(k);
        ForgetfulDisk disk{k};
        World world{disk};
        disk.fail(DiskCall::overwrite, k, {.for_ever = true});
        disk.fail(DiskCall::sync, k, {.for_ever = true});
        world.run_script();
        REQUIRE(world.log->intake() == IntakeState::sync_failed);
        CHECK(world.log->intake_reason().find("Input/output error") != std::string::npos);
        CHECK_FALSE(world.all_acked());
        CHECK(world.acks_in_order());
        const std::size_t durable = world.durable_records();
        world.put_group();  // is not taken
        world.log->commit();
        CHECK(world.durable_records() == durable);

        disk.clear_faults();
        world.log->commit();
        CHECK(world.log->intake() == IntakeState::open);
        CHECK(world.log->intake_reason().empty());
        CHECK(world.all_acked());
        world.run_script();
        CHECK(world.all_acked());
        check_comes_back(world, disk, k % 2 == 0);
    }
}

TEST_CASE("renewal: the machine dies at any call while the ring is replaced", "[renewal]") {
    const bool power = GENERATE(true, false);
    const bool fails_twice = GENERATE(false, true);
    const bool with_checkpoint = GENERATE(false, true);
    CAPTURE(power, fails_twice, with_checkpoint);
    std::uint64_t crashed = 0;
    for (std::uint64_t n = 1;; ++n) {
        CAPTURE(n);
        ForgetfulDisk disk{n};
        if (n % 3 == 0) disk.set_tear(test::Tear::at_any_byte);
        World world{disk};
        world.put_group();
        world.put_group();
        if (with_checkpoint) REQUIRE(world.log->checkpoint_now());
        world.put_group();
        disk.fail(
            DiskCall::overwrite,
            1,
            {.for_ever = fails_twice,
             .short_bytes = n % 2 == 0 ? std::size_t{1000} : std::size_t{1u << 20}}
        );
        disk.crash_at(n);
        world.put_group();
        disk.fail(DiskCall::overwrite, 1'000'000);  // healed
        world.log->commit();
        world.put_group();
        world.put_group();
        const bool is_off = disk.is_off();
        crashed += is_off ? 1 : 0;
        check_comes_back(world, disk, power);
        if (!is_off) break;
    }
    CHECK(crashed > 15);
}

TEST_CASE(
    "renewal: names made by a process that was killed do not go with the power",
    "[renewal]"
) {
    for (std::uint64_t n = 1;; ++n) {
        CAPTURE(n);
        ForgetfulDisk disk{n};
        disk.crash_at(DiskCall::sync_directory, n);
        {
            RecoveryReport report;
            test::RecordingKeeper keeper;
            test::RecordingListener listener;
            auto opened = DiskLog::open_for_writing(
                script_config(),
                {.files = disk, .keeper = keeper, .listener = listener, .post = {}},
                report
            );
            if (opened) (void)(*opened)->ensure_topic("t", partition_count).has_error();
        }
        if (!disk.is_off()) break;
        disk.kill_process();
        World world{disk};
        world.put_group();
        REQUIRE(world.all_acked());
        check_comes_back(world, disk, true);
    }
}

TEST_CASE(
    "renewal: a slot that fails is noticed at the next commit, and no ack comes twice",
    "[renewal]"
) {
    ForgetfulDisk disk;
    World world{disk};
    world.put_group();
    disk.fail(DiskCall::overwrite, 1);
    CHECK_FALSE(world.log->checkpoint_now());
    CHECK(world.log->stats().ring_generations.value() == 0);
    world.put_group();
    CHECK(world.log->stats().ring_generations.value() == 1);
    CHECK(world.all_acked());
    check_comes_back(world, disk, true);
}

TEST_CASE(
    "renewal: a disk too full for a second ring takes nothing in until there is room",
    "[renewal]"
) {
    ForgetfulDisk disk;
    World world{disk};
    world.put_group();
    disk.set_capacity(400 * kib);
    disk.fail(DiskCall::overwrite, 1);
    world.put_group();
    CHECK(world.log->intake() == IntakeState::sync_failed);
    CHECK(world.log->intake_reason().find("No space left") != std::string::npos);
    CHECK_FALSE(disk.exists("/data/journal/ring-00000002.new"));
    world.log->commit();
    CHECK(world.log->intake() == IntakeState::sync_failed);
    disk.set_capacity(64 * mib);
    world.log->commit();
    CHECK(world.log->intake() == IntakeState::open);
    CHECK(world.all_acked());
    check_comes_back(world, disk, true);
}

TEST_CASE("renewal: states that the Keeper does not take keep the old ring", "[renewal]") {
    ForgetfulDisk disk;
    World world{disk};
    world.put_group();
    world.keeper.fails = true;
    disk.fail(DiskCall::overwrite, 1);
    world.put_group();
    CHECK(world.log->intake() == IntakeState::sync_failed);
    CHECK(disk.exists("/data/journal/ring-00000001"));
    world.keeper.fails = false;
    world.log->commit();
    CHECK(world.all_acked());
    CHECK(world.keeper.sessions.at("c") == world.sent_sessions()[0]);
}

TEST_CASE(
    "renewal: closed while syncs fail, the log gives the error and keeps its promises",
    "[renewal]"
) {
    ForgetfulDisk disk;
    World world{disk};
    world.put_group();
    disk.fail(DiskCall::overwrite, 1, {.for_ever = true});
    world.put_group();
    const auto closed = world.log->close();
    REQUIRE_FALSE(closed);
    CHECK(closed.error() == boost::system::errc::io_error);
    CHECK_FALSE(world.all_acked());
    check_comes_back(world, disk, true);
}

TEST_CASE(
    "renewal: a disk that fails again and again is left alone between the tries",
    "[renewal]"
) {
    ForgetfulDisk disk;
    LogConfig config = script_config();
    config.renewal_pause = std::chrono::hours{1};
    World world{disk, config};
    int rings = 0;
    while (world.log->intake() == IntakeState::open && rings < 100) {
        disk.fail(DiskCall::overwrite, 1);
        world.put_group();
        ++rings;
    }
    CHECK(rings == RingRenewal::quick_renewals_max + 1);
    CHECK(world.log->intake() == IntakeState::sync_failed);
    CHECK_FALSE(world.log->close());
    check_comes_back(world, disk, true);
}

TEST_CASE(
    "renewal: with its threads the owner gets its acks in order after a failed sync",
    "[renewal]"
) {
    const auto committer = GENERATE(CommitterThread::always_inline, CommitterThread::always_own);
    for (std::uint64_t k = 1; k <= 30; k += 3) {
        CAPTURE(k);
        ForgetfulDisk disk{k};
        LogConfig config = script_config();
        config.background = true;
        config.committer = committer;
        config.renewal_pause = std::chrono::milliseconds{1};
        World world{disk, config};
        disk.fail(k % 2 == 0 ? DiskCall::overwrite : DiskCall::sync, k, {.for_ever = k % 4 == 3});
        for (int i = 0; i < 40; ++i)
            world.put_group();
        disk.clear_faults();
        world.posts.run_until([&] {
            world.log->commit();
            return world.all_acked();
        });
        world.put_group();
        REQUIRE(world.log->close());
        CHECK(world.all_acked());
        world.die();
        disk.power_cut();
        REQUIRE(world.open());
        world.check();
    }
}

TEST_CASE("renewal: a sync that fails while the log is closed costs no reading", "[renewal]") {
    for (std::uint64_t k = 1; k <= 20; ++k) {
        CAPTURE(k);
        ForgetfulDisk disk{k};
        LogConfig config = script_config();
        config.background = true;
        config.committer = k % 2 == 0 ? CommitterThread::always_inline
                                      : CommitterThread::always_own;
        World world{disk, config};
        world.put_group();
        world.posts.run_until([&] { return world.all_acked(); });
        disk.fail(DiskCall::overwrite, 1);
        world.put_group();
        REQUIRE(world.log->close());
        CHECK(world.all_acked());
        world.die();
        disk.power_cut();
        REQUIRE(world.open());
        world.check();
    }
}

TEST_CASE("renewal: a ring that cannot be made durable at a start is replaced there", "[renewal]") {
    const auto call = GENERATE(DiskCall::sync, DiskCall::overwrite);
    const bool with_checkpoint = GENERATE(false, true);
    for (std::uint64_t k = 1; k <= 4; ++k) {
        CAPTURE(name(call), with_checkpoint, k);
        ForgetfulDisk disk{k};
        World world{disk};
        world.put_group();
        world.put_group();
        if (with_checkpoint) REQUIRE(world.log->checkpoint_now());
        world.put_group();
        // The last frame is whole in the cache, and nowhere else.
        disk.fail(DiskCall::overwrite, 1, {.for_ever = true, .short_bytes = 1U << 20U});
        world.put_group();
        world.die();
        disk.clear_faults();
        disk.kill_process();
        disk.fail(call, k);
        bool opened = world.open();
        // The second one was made, and failed, before.
        if (k == 1) CHECK((opened && disk.exists("/data/journal/ring-00000003")));
        if (!opened) {  // the new ring's turn to fail: it starts once the disk does its work
            disk.clear_faults();
            opened = world.open();
        }
        REQUIRE(opened);
        world.check();
        const std::size_t seen = world.durable_records();
        world.put_group();
        CHECK(world.all_acked());
        world.die();
        disk.clear_faults();
        disk.power_cut();
        REQUIRE(world.open());
        CHECK(world.durable_records() > seen);
        world.check();
    }
}

TEST_CASE("renewal: a step of pre-writing that fails costs a ring and nothing else", "[renewal]") {
    ForgetfulDisk disk;
    LogConfig config = script_config();
    config.background = true;
    config.ring_bytes = 6 * mib;
    config.limit_bytes = 128 * mib;
    disk.fail(DiskCall::sync, 2);  // the first is the new ring's own
    World world{disk, config};
    world.put_group();
    world.posts.run_until([&] { return world.listener.new_rings.size() == 1; });
    world.put_group();
    REQUIRE(world.log->close());
    CHECK(world.all_acked());
    check_comes_back(world, disk, true);
}

TEST_CASE("renewal: an old ring that stayed stops no start when the new one rots", "[renewal]") {
    for (std::uint64_t n = 1;; ++n) {
        CAPTURE(n);
        ForgetfulDisk disk{n};
        World world{disk};
        world.put_group();
        world.put_group();
        disk.fail(DiskCall::overwrite, 1);
        disk.fail(DiskCall::remove, 1, {.for_ever = true});
        world.put_group();
        REQUIRE(world.all_acked());
        REQUIRE(disk.exists("/data/journal/ring-00000001"));
        REQUIRE(world.log->checkpoint_now());
        world.die();
        disk.kill_process();
        disk.cut("/data/journal/ring-00000002", 0);
        disk.crash_at(n);
        const bool is_open = world.open();
        const bool was_hit = disk.is_off();
        REQUIRE((is_open || was_hit));
        world.log.reset();
        n % 2 == 0 ? disk.power_cut() : disk.kill_process();
        // Removing fails for ever: the old one is out of the way all the same.
        for (int start = 0; start < 2; ++start) {
            const bool opened = world.open();
            for (const std::string& note : world.report.notes)
                UNSCOPED_INFO(note);
            REQUIRE(opened);
            world.check();
            CHECK(disk.exists("/data/journal/ring-00000001.damaged-1"));
            world.log.reset();
            disk.power_cut();
        }
        if (!was_hit) break;
    }
}

TEST_CASE("renewal: nobody is served what cannot be made durable at a start", "[renewal]") {
    ForgetfulDisk disk;
    World world{disk};
    world.put_group();
    world.die();
    disk.kill_process();
    disk.fail(DiskCall::sync, 1, {.for_ever = true});
    CHECK_FALSE(world.open());
    disk.clear_faults();
    REQUIRE(world.open());
    world.check();
    CHECK(world.durable_records() == 2);
}

}  // namespace milepost::storage
