// Retention on a whole log.
#include "storage/log/retainer.hpp"

#include "storage/log/disk_log.hpp"
#include "storage/log/errc.hpp"
#include "storage/log/segment_name.hpp"
#include "tests/support/forgetful_disk.hpp"
#include "tests/support/log_parts.hpp"
#include "tests/support/matchers.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <memory>
#include <string>

namespace milepost::storage {

namespace {

using test::record;

// Keeps the ledger over restarts of the log, as meta.db does.
class Ledger final : public Keeper {
public:
    Result<void> fold(std::span<const SessionDelta> /*deltas*/) override { return {}; }

    Result<void> serve(const KeptLog& log) override {
        log_id = log.id;
        return {};
    }

    Result<void> record(const Gap& gap) override {
        if (fails) return ErrorCode{5, boost::system::system_category()};
        entries.push_back(gap);
        entries.back().log_id = log_id;
        return {};
    }

    Result<std::vector<Gap>> gaps() override { return entries; }

    std::vector<Gap> entries;
    bool fails = false;
    std::string log_id;
};

constexpr Timestamp written_at{1'795'000'000'000};  // test::record's

class RetainerFixture {
public:
    RetainerFixture() {
        config.data_dir = "/data";
        config.limit_bytes = log_limit_bytes_min;
        config.ring_bytes = ring_bytes_min;
        config.segment_bytes = 64 * kib;
        config.batch_bytes = 4 * kib;
        config.codec = Codec::none;
        config.background = false;
    }

    void open() {
        log.reset();
        report = {};
        auto opened = DiskLog::open_for_writing(
            config,
            {.files = disk,
             .keeper = ledger,
             .listener = listener,
             .post =
                 [](const std::function<void()>& function) {
                     function();
                 }},
            report
        );
        REQUIRE(opened);
        log = std::move(*opened);
        partition = log->ensure_topic("t", 1).value().front();
    }

    // By hand: the journal and the topics, not the ledger.
    void delete_log() {
        log.reset();
        for (const std::filesystem::path folder : {"/data/journal", "/data/t-0"}) {
            for (const DirectoryEntry& entry : disk.list(folder).value())
                REQUIRE(disk.remove(folder / entry.name));
            REQUIRE(disk.remove(folder));
        }
        written = 0;
    }

    void cut_power() {
        log.reset();
        disk.clear_faults();
        disk.power_cut();
        open();
    }

    // Records of about 1 KiB: about 60 fill a segment.
    void put(int count) {
        const std::string value(value_bytes, 'v');
        for (int i = 0; i < count; ++i) {
            REQUIRE(log->append(partition, record("k", value + std::to_string(written)), {}));
            ++written;
            if (i % step_records == step_records - 1) step();
        }
        step();
    }

    void step() {
        log->commit();
        REQUIRE(log->checkpoint_now());
    }

    void forward_all() { log->set_forwarded(partition, log->positions(partition).durable); }

    [[nodiscard]] Positions positions() const { return log->positions(partition); }

    // From start on everything is there, in order, with the bytes that were written.
    void check_rest() const {
        const Positions at = positions();
        CHECK(at.durable == Offset{written});
        const auto got = test::read_back(*log, partition, at.start);
        REQUIRE(got.values.size() == static_cast<std::size_t>(at.durable - at.start));
        std::size_t wrong = 0;
        for (std::size_t i = 0; i < got.values.size(); ++i) {
            const std::int64_t offset = at.start.value() + static_cast<std::int64_t>(i);
            const bool is_right = got.offsets[i] == offset &&
                                  got.values[i].substr(value_bytes) == std::to_string(offset);
            if (!is_right) ++wrong;
        }
        CHECK(wrong == 0);
    }

    [[nodiscard]] std::size_t log_files() {
        const auto entries = disk.list("/data/t-0").value();
        return static_cast<std::size_t>(std::count_if(entries.begin(), entries.end(), [](auto& e) {
            return e.name.ends_with(".log");
        }));
    }

    test::ForgetfulDisk disk;
    Ledger ledger;
    test::RecordingListener listener;
    LogConfig config;
    RecoveryReport report;
    std::unique_ptr<DiskLog> log;
    PartitionId partition;
    std::int64_t written = 0;
    std::size_t value_bytes = 1000;
    int step_records = 40;
};

ClockReading days_later(std::int64_t days) {
    const std::int64_t ms = days * 86'400'000;
    ClockReading reading = read_clock();
    reading.wall += ms;
    reading.monotonic_ms += ms;
    return reading;
}

}  // namespace

TEST_CASE("retainer: by bytes only what is forwarded goes, whole segments", "[retention]") {
    RetainerFixture f;
    f.config.retention["t"].bytes = 128 * kib;
    f.open();
    f.put(400);
    REQUIRE(f.log->retain_now());
    CHECK(f.positions().start == Offset{0});
    f.log->set_forwarded(f.partition, Offset{150});
    REQUIRE(f.log->retain_now());
    const Offset start = f.positions().start;
    CHECK(start > Offset{60});
    CHECK(start <= Offset{150});
    CHECK(f.ledger.entries.empty());
    f.forward_all();
    REQUIRE(f.log->retain_now());
    CHECK(f.positions().start > Offset{200});
    CHECK(f.log->stats().log_bytes.value() > 0);
    f.check_rest();
    Buffer buffer;
    CHECK(
        f.log->read(f.partition, Offset{0}, 1000, buffer).error() == LogErrc::offset_out_of_range
    );
}

TEST_CASE("retainer: start survives a restart and a power cut", "[retention]") {
    RetainerFixture f;
    f.config.retention["t"].bytes = 128 * kib;
    f.open();
    f.put(400);
    f.forward_all();
    REQUIRE(f.log->retain_now());
    const Offset start = f.positions().start;
    f.log.reset();
    f.open();
    CHECK(f.positions().start == start);
    f.cut_power();
    CHECK(f.positions().start == start);
    CHECK(f.report.gaps.empty());
    f.check_rest();
    f.put(10);
    f.check_rest();
}

TEST_CASE("retainer: no segment goes before the removal of the last is durable", "[retention]") {
    RetainerFixture f;
    f.config.retention["t"].bytes = 128 * kib;
    f.open();
    f.put(400);
    f.forward_all();
    const std::size_t before = f.log_files();
    f.disk.fail(test::DiskCall::sync_directory, 1, {.for_ever = true});
    CHECK_FALSE(f.log->retain_now());
    CHECK_FALSE(f.log->retain_now());
    CHECK(f.log_files() == before - 1);
    f.disk.clear_faults();
    REQUIRE(f.log->retain_now());
    CHECK(f.log_files() < before - 2);
    f.check_rest();
}

TEST_CASE("retainer: where everything is gone the log goes on at its offset", "[retention]") {
    RetainerFixture f;
    f.config.retention["t"].age = std::chrono::hours{1};
    f.open();
    f.put(100);
    f.forward_all();
    REQUIRE(f.log->retain_now(days_later(200)));
    REQUIRE(f.positions().start == Offset{100});
    CHECK(f.log_files() == 1);
    const auto again = GENERATE(0, 1, 2);
    if (again == 1) f.cut_power();
    if (again == 2) {
        f.log.reset();
        f.open();
    }
    CHECK(f.positions().start == Offset{100});
    CHECK(f.report.gaps.empty());
    f.check_rest();
    f.put(30);
    f.check_rest();
    CHECK(f.positions().start == Offset{100});
    f.cut_power();
    f.check_rest();
    CHECK(f.positions().start == Offset{100});
}

TEST_CASE("retainer: both slots rotten, and the offsets still go on", "[retention]") {
    RetainerFixture f;
    f.config.retention["t"].age = std::chrono::hours{1};
    f.open();
    f.put(100);
    f.forward_all();
    REQUIRE(f.log->retain_now(days_later(200)));
    REQUIRE(f.log->close());
    f.log.reset();
    f.disk.flip_bit("/data/journal/ring-00000001", 8192 + 20, 1);
    f.disk.flip_bit("/data/journal/ring-00000001", 139'264 + 20, 1);
    f.open();
    CHECK(f.positions().start == Offset{100});
    CHECK(f.positions().durable == Offset{100});
}

TEST_CASE("retainer: at the limit with everything forwarded there is room again", "[retention]") {
    RetainerFixture f;
    f.open();
    while (f.log->intake() == IntakeState::open) {
        f.put(40);
        REQUIRE(f.log->retain_now());
    }
    CHECK(f.positions().start == Offset{0});
    CHECK(f.log->intake() == IntakeState::disk_reserve);
    f.forward_all();
    REQUIRE(f.log->retain_now());
    CHECK(f.log->intake() == IntakeState::open);
    CHECK(f.positions().start > Offset{0});
    CHECK(f.log->stats().log_bytes.value() <= 3700 * std::int64_t{kib});
    CHECK(f.ledger.entries.empty());
    f.check_rest();
}

TEST_CASE("retainer: a full log takes dead letters in, up to half of the reserve", "[retention]") {
    RetainerFixture f;
    f.open();
    while (f.log->intake() == IntakeState::open) {
        f.put(40);
        REQUIRE(f.log->retain_now());
    }
    const PartitionId letters = f.log->ensure_topic("t.dead-letter", 1).value().front();
    const std::string value(f.value_bytes, 'v');
    CHECK(f.log->append(f.partition, record("k", value), {}).error() == LogErrc::intake_closed);
    int taken = 0;
    while (f.log->append(letters, record("k", value), {})) {
        ++taken;
        f.step();
        REQUIRE(f.log->retain_now());
    }
    CHECK(f.log->intake() == IntakeState::disk_reserve);
    CHECK(taken > 0);
    CHECK(
        f.log->stats().log_bytes.value() <
        static_cast<std::int64_t>(f.config.limit_bytes - reserve_bytes(f.config) / 4)
    );
    // The front record was set aside, so the rest went, too.
    f.forward_all();
    f.log->set_forwarded(letters, f.log->positions(letters).durable);
    REQUIRE(f.log->retain_now());
    CHECK(f.log->intake() == IntakeState::open);
    CHECK(f.ledger.entries.empty());
}

TEST_CASE("retainer: drop_oldest enters the loss before it removes", "[retention]") {
    RetainerFixture f;
    f.config.full = FullPolicy::drop_oldest;
    f.open();
    f.log->set_forwarded(f.partition, Offset{0});
    f.put(100);
    f.log->set_forwarded(f.partition, Offset{17});
    f.ledger.fails = true;
    while (f.log->intake() == IntakeState::open) {
        f.put(40);
        (void)f.log->retain_now().has_error();
    }
    CHECK(f.log->retain_now().has_error());
    CHECK(f.positions().start == Offset{0});
    f.ledger.fails = false;
    REQUIRE(f.log->retain_now());
    REQUIRE_FALSE(f.ledger.entries.empty());
    const Gap& gap = f.ledger.entries.front();
    CHECK(gap.first == Offset{17});
    CHECK(f.ledger.entries.back().end == f.positions().start);
    CHECK(gap.reason == "drop_oldest");
    CHECK(gap.first_time == written_at);
    CHECK(gap.last_time == written_at);
    CHECK(f.positions().forwarded == f.positions().start);
    f.check_rest();
    f.put(500);  // goes on for as long as one likes
    REQUIRE(f.log->retain_now());
    f.check_rest();
}

TEST_CASE("retainer: what the ledger has of another log removes nothing", "[retention]") {
    RetainerFixture f;
    f.config.full = FullPolicy::drop_oldest;
    f.open();
    f.log->set_forwarded(f.partition, Offset{0});
    f.put(400);
    std::string ledger_of = f.ledger.log_id;
    SECTION("of the log that was in this folder") {}
    SECTION("of nobody knows which") {
        ledger_of.clear();
    }
    REQUIRE(f.ledger.record(
        {.partition = {"t", 0},
         .first = Offset{0},
         .end = Offset{300},
         .reason = "drop_oldest",
         .noticed = written_at}
    ));
    f.ledger.entries.back().log_id = ledger_of;
    f.delete_log();
    f.open();
    f.put(400);
    f.log.reset();
    f.open();
    CHECK(f.positions().start == Offset{0});
    f.check_rest();
}

TEST_CASE("retainer: without an upstream what expires is in the ledger", "[retention]") {
    RetainerFixture f;
    f.config.forwards = false;
    f.config.retention["t"].bytes = 128 * kib;
    f.open();
    f.put(400);
    REQUIRE(f.log->retain_now());
    REQUIRE_FALSE(f.ledger.entries.empty());
    CHECK(f.ledger.entries.front().first == Offset{0});
    CHECK(f.ledger.entries.back().end == f.positions().start);
    CHECK(f.ledger.entries.front().reason == "retention_bytes");
}

TEST_CASE("retainer: without an upstream a disk that others filled takes nothing", "[retention]") {
    for (const bool forwards : {false, true}) {
        RetainerFixture f;
        f.config.forwards = forwards;
        f.open();
        f.put(400);
        f.forward_all();
        f.disk.set_capacity(f.disk.snapshot().page_count() * block_bytes + 4 * kib);
        REQUIRE(f.log->retain_now());
        // What Kafka has makes room; what nobody else has stays.
        CHECK((f.positions().start > Offset{0}) == forwards);
    }
}

TEST_CASE("retainer: a clock that jumps deletes nothing", "[retention]") {
    RetainerFixture f;
    // A week more than they are old on the day on which this runs.
    f.config.retention["t"].age = std::chrono::milliseconds{read_clock().wall - written_at} +
                                  std::chrono::hours{24 * 7};
    f.open();
    f.put(200);
    f.forward_all();
    REQUIRE(f.log->retain_now());
    ClockReading reading = read_clock();
    reading.wall = Timestamp{2'145'916'800'000};
    REQUIRE(f.log->retain_now(reading));
    CHECK(f.positions().start == Offset{0});
    f.step();
    f.log.reset();
    f.open();  // and not after a restart either: the slot has the time that was believed
    REQUIRE(f.log->retain_now(reading));
    CHECK(f.positions().start == Offset{0});
    reading.wall = Timestamp{1000};
    REQUIRE(f.log->retain_now(reading));
    CHECK(f.positions().start == Offset{0});
    f.check_rest();
}

TEST_CASE("retainer: a power cut at any call of retention leaves what is owed", "[retention]") {
    const auto full = GENERATE(FullPolicy::block, FullPolicy::drop_oldest);
    RetainerFixture f;
    f.config.full = full;
    f.value_bytes = 10'000;  // few, that each cut is quick to look through
    f.step_records = 4;
    f.open();
    f.put(350);
    f.log.reset();
    const auto before = f.disk.snapshot();
    const Offset forwarded{full == FullPolicy::block ? 350 : 9};

    std::uint64_t nth = 0;
    for (bool crashed = true; crashed;) {
        CAPTURE(++nth);
        f.disk.restore(before);
        f.ledger.entries.clear();
        f.open();
        f.log->set_forwarded(f.partition, forwarded);
        f.disk.crash_at(nth);
        (void)f.log->retain_now().has_error();
        crashed = f.disk.is_off();
        f.cut_power();
        CHECK(f.report.gaps.empty());
        f.check_rest();
        // What is below start was forwarded, or the ledger has it.
        f.log->set_forwarded(f.partition, forwarded);
        const Offset start = f.positions().start;
        if (full == FullPolicy::block) {
            CHECK(f.ledger.entries.empty());
        } else if (!f.ledger.entries.empty()) {
            CHECK(f.ledger.entries.front().first <= forwarded);
            CHECK(f.ledger.entries.back().end == start);
        } else {
            CHECK(start <= forwarded);
        }
        REQUIRE(f.log->retain_now());
        f.check_rest();
        CHECK(f.positions().start > Offset{0});
        f.log.reset();
    }
    CHECK(nth > 10);
}

}  // namespace milepost::storage
