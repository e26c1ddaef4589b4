// A whole log is closed, damaged at rest, repaired, verified and opened again.
#include "storage/log/repair.hpp"

#include "storage/base/units.hpp"
#include "storage/format/index_entry.hpp"
#include "storage/format/record_batch.hpp"
#include "storage/journal/ring_header.hpp"
#include "storage/log/disk_log.hpp"
#include "storage/log/segment_name.hpp"
#include "storage/log/verify.hpp"
#include "tests/support/forgetful_disk.hpp"
#include "tests/support/log_parts.hpp"
#include "tests/support/matchers.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <string>

namespace milepost::storage {

namespace {

constexpr std::string_view folder = "/data/t-0";
constexpr std::string_view ring_file = "/data/journal/ring-00000001";
constexpr int records = 160;

struct RepairBench {
    RepairBench() {
        config.data_dir = "/data";
        config.limit_bytes = 1024 * mib;
        config.ring_bytes = ring_bytes_min;
        config.segment_bytes = 8 * kib;
        config.batch_bytes = 1 * kib;
        config.codec = Codec::none;
        config.background = false;
        open();
        put(0, records);
        REQUIRE(log->close());
        log.reset();
        for (const auto& entry : disk.list(folder).value()) {
            const auto name = parse_segment_file_name(entry.name);
            if (name && name->kind == SegmentFile::log) bases.push_back(name->base);
        }
        REQUIRE(bases.size() >= 4);
        REQUIRE(size(bases.back()) > 2 * kib);
        clean = disk.snapshot();
    }

    void open() {
        log.reset();
        report = {};
        auto opened = DiskLog::open_for_writing(
            config,
            {.files = disk, .keeper = keeper, .listener = listener, .post = {}},
            report
        );
        REQUIRE(opened);
        log = std::move(*opened);
        partition = log->ensure_topic("t", 1).value().front();
    }

    void put(int from, int end) {
        for (int i = from; i < end; ++i) {
            const std::string value = std::to_string(i) + std::string(200, 'v');
            REQUIRE(log->append(partition, test::record("k", value), {}));
            if (i % 8 != 7 && i + 1 != end) continue;
            log->commit();
            REQUIRE(log->checkpoint_now());
        }
    }

    [[nodiscard]] std::filesystem::path path(Offset base, SegmentFile kind = SegmentFile::log)
        const {
        return segment_path(folder, base, kind);
    }

    [[nodiscard]] std::uint64_t size(Offset base) const { return disk.content(path(base)).size(); }

    // Where the batches of a segment begin, and its end.
    [[nodiscard]] std::vector<std::uint64_t> places(Offset base) const {
        const Buffer bytes = disk.content(path(base));
        std::vector<std::uint64_t> all{0};
        while (all.back() < bytes.size()) {
            const auto header = peek_batch_header(Bytes{bytes}.subspan(all.back()));
            REQUIRE(header);
            all.push_back(all.back() + header->total_bytes);
        }
        return all;
    }

    void rot(Offset base, std::uint64_t at) { disk.flip_bit(path(base), at, 5); }

    // In the records of batch i, behind the header.
    void rot_batch(Offset base, std::size_t i) { rot(base, places(base).at(i) + 80); }

    RepairPlan plan(bool makes_lock = true) {
        auto made =
            plan_repair(disk, "/data", {.known_gaps = keeper.gaps, .makes_lock = makes_lock});
        REQUIRE(made);
        return std::move(*made);
    }

    Result<void> repair() {
        auto made = plan_repair(disk, "/data", {.known_gaps = keeper.gaps, .makes_lock = true});
        if (!made) return made.error();
        return carry_out(disk, std::move(*made), keeper);
    }

    VerifyReport verify() {
        const auto verified =
            verify_folder(disk, "/data", {.known_gaps = keeper.gaps}, [](const VerifiedFile&) {});
        REQUIRE(verified);
        return *verified;
    }

    // Opens, and reads everything: what is missing is in the ledger, and nothing else is.
    std::set<std::int64_t> read_all() {
        open();
        const auto read = test::read_back(*log, partition, Offset{0});
        for (std::size_t i = 0; i < read.offsets.size(); ++i) {
            const std::string value = std::to_string(read.offsets[i]) + std::string(200, 'v');
            CHECK(read.values[i] == value);
        }
        return {read.offsets.begin(), read.offsets.end()};
    }

    [[nodiscard]] bool is_lost(std::int64_t offset) const {
        return std::any_of(keeper.gaps.begin(), keeper.gaps.end(), [&](const Gap& gap) {
            return gap.first <= Offset{offset} && Offset{offset} < gap.end;
        });
    }

    // Everything that is not lost is read, what comes gets new offsets, and all of it is sound.
    void check_whole(std::size_t lost_max) {
        CHECK(verify().is_sound());
        const auto found = read_all();
        std::size_t lost = 0;
        for (std::int64_t i = 0; i < records; ++i) {
            CHECK((found.count(i) == 1) != is_lost(i));
            if (is_lost(i)) ++lost;
        }
        CHECK(lost <= lost_max);
        CHECK(log->positions(partition).durable == Offset{records});
        put(records, records + 20);
        CHECK(log->positions(partition).durable == Offset{records + 20});
        REQUIRE(log->close());
        log.reset();
        CHECK(verify().is_sound());
        const auto again = read_all();
        CHECK(again.size() == found.size() + 20);
        REQUIRE(log->close());
        log.reset();
    }

    void back(const test::DiskState& state) {
        log.reset();
        keeper.gaps.clear();
        disk.restore(state);
    }

    test::ForgetfulDisk disk;
    test::RecordingKeeper keeper;
    test::RecordingListener listener;
    LogConfig config;
    RecoveryReport report;
    std::unique_ptr<DiskLog> log;
    PartitionId partition{};
    std::vector<Offset> bases;
    test::DiskState clean;
};

}  // namespace

TEST_CASE("repair: a sound folder has nothing to do, and the plan writes nothing", "[repair]") {
    RepairBench bench;
    const auto writes = [&] {
        std::uint64_t all = 0;
        for (const auto call :
             {test::DiskCall::write,
              test::DiskCall::overwrite,
              test::DiskCall::truncate,
              test::DiskCall::rename,
              test::DiskCall::remove,
              test::DiskCall::sync}) {
            all += bench.disk.count(call);
        }
        return all;
    };
    const auto before = writes();
    CHECK(bench.plan(false).actions.empty());
    bench.rot_batch(bench.bases[1], 2);
    const auto plan = bench.plan(false);
    CHECK(plan.actions.size() == 2);
    CHECK(plan.bytes_needed > 0);
    CHECK(writes() == before);
}

TEST_CASE("repair: a bit flipped anywhere in a segment costs a batch at most", "[repair]") {
    RepairBench bench;
    const auto base = bench.bases[GENERATE(0U, 1U, 99U) == 99U ? bench.bases.size() - 1 : 1];
    const auto original = bench.size(base);
    const auto batches = bench.places(base);
    for (std::uint64_t at = 0; at < original; at += 131) {
        INFO("segment " << base.value() << " byte " << at);
        bench.back(bench.clean);
        bench.rot(base, at);
        const Buffer damaged = bench.disk.content(bench.path(base));
        REQUIRE(bench.repair());
        CHECK(bench.disk.content(bench.path(base).string() + ".damaged-1") == damaged);
        bench.check_whole(8);
    }
}

TEST_CASE("repair: what is outside of the checksum is mended without loss", "[repair]") {
    RepairBench bench;
    const auto base = GENERATE_REF(from_range(bench.bases));
    const auto batches = bench.places(base);
    for (std::size_t i = 0; i + 1 < batches.size(); ++i) {
        for (std::uint64_t byte = 0; byte < batch_layout::crc; ++byte) {
            bench.back(bench.clean);
            INFO("segment " << base.value() << " batch " << i << " byte " << byte);
            bench.rot(base, batches[i] + byte);
            REQUIRE(bench.repair());
            CHECK(bench.keeper.gaps.empty());
            CHECK(bench.verify().is_sound());
            CHECK(bench.disk.content(bench.path(base)).size() == batches.back());
        }
    }
    bench.check_whole(0);
}

TEST_CASE("repair: rot at either end, in a row, and of a whole segment", "[repair]") {
    RepairBench bench;
    for (const Offset base : bench.bases) {
        const std::size_t count = bench.places(base).size() - 1;
        const std::vector<std::set<std::size_t>> cases{
            {0},
            {count - 1},
            {0, count - 1},
            {1, 2},
            {count - 2, count - 1}};
        for (const auto& which : cases) {
            INFO("segment " << base.value() << " first rotten " << *which.begin());
            bench.back(bench.clean);
            for (const std::size_t i : which) {
                bench.rot_batch(base, i);
            }
            REQUIRE(bench.repair());
            CHECK(bench.keeper.gaps.size() <= which.size());
            bench.check_whole(8 * which.size());
        }
        for (std::size_t spared = 0; spared <= count; ++spared) {
            INFO("segment " << base.value() << " spared " << spared);
            bench.back(bench.clean);
            const auto places = bench.places(base);
            for (std::size_t i = 0; i < count; ++i) {
                if (i != spared) bench.rot(base, places[i] + 80);
            }
            REQUIRE(bench.repair());
            bench.check_whole(8 * count);
        }
    }
}

TEST_CASE("repair: indexes are made again, the wrong ones are kept", "[repair]") {
    RepairBench bench;
    const auto kind = GENERATE(SegmentFile::offset_index, SegmentFile::time_index);
    const auto path = bench.path(bench.bases[1], kind);
    const Buffer right = bench.disk.content(path);
    REQUIRE(right.size() >= offset_entry_bytes);
    REQUIRE(bench.disk.remove(path));
    REQUIRE(bench.repair());
    CHECK(bench.disk.content(path) == right);
    CHECK_FALSE(bench.disk.exists(path.string() + ".damaged-1"));
    bench.disk.flip_bit(path, 3, 2);
    const Buffer wrong = bench.disk.content(path);
    if (!bench.verify().is_sound()) {
        REQUIRE(bench.repair());
        CHECK(bench.disk.content(path) == right);
        CHECK(bench.disk.content(path.string() + ".damaged-1") == wrong);
    }
    bench.check_whole(0);
}

TEST_CASE("repair: a segment that is gone is a known hole afterwards", "[repair]") {
    RepairBench bench;
    for (const std::size_t which : {std::size_t{1}, bench.bases.size() - 1}) {
        bench.back(bench.clean);
        REQUIRE(bench.disk.remove(bench.path(bench.bases[which])));
        CHECK_FALSE(bench.verify().is_sound());
        REQUIRE(bench.repair());
        CHECK(bench.keeper.gaps.size() == 1);
        bench.check_whole(40);
    }
}

TEST_CASE("repair: a segment that was cut short is as long as the checkpoint says", "[repair]") {
    RepairBench bench;
    const Offset base = bench.bases.back();
    const auto places = bench.places(base);
    for (const std::uint64_t bytes :
         {std::uint64_t{0}, places[1] - 1, places[1], places[2] + 1, places.back() - 1}) {
        INFO(bytes << " bytes are left");
        bench.back(bench.clean);
        bench.disk.cut(bench.path(base), bytes);
        REQUIRE(bench.repair());
        bench.check_whole(40);
    }
}

TEST_CASE(
    "repair: a ring without a header is kept, and one is made behind the segments",
    "[repair]"
) {
    RepairBench bench;
    bench.disk.flip_bit(ring_file, 20, 1);
    bench.disk.flip_bit(ring_file, block_bytes + 20, 1);
    bench.rot_batch(bench.bases.back(), 1);
    const Buffer ring = bench.disk.content(ring_file);
    REQUIRE(bench.repair());
    CHECK(bench.disk.content(std::string{ring_file} + ".damaged-1") == ring);
    CHECK(bench.disk.content(ring_file).size() > ring_begin);
    bench.check_whole(8);
}

TEST_CASE(
    "repair: frames that are rotten are gone from the journal, and in the ledger",
    "[repair]"
) {
    RepairBench bench;
    bench.open();
    for (int i = 0; i < 10; ++i) {
        const std::string value = std::to_string(records + i) + std::string(200, 'v');
        REQUIRE(bench.log->append(bench.partition, test::record("k", value), {}));
        bench.log->commit();
    }
    const auto used = bench.log->stats().journal_bytes.value();
    REQUIRE(used > 0);
    bench.disk.kill_process();
    bench.log.reset();
    const Buffer ring = bench.disk.content(ring_file);
    // The frame of record 164: the only place that has it.
    const std::string needle = std::to_string(records + 4) + std::string(200, 'v');
    const auto at = as_text(ring).find(needle);
    REQUIRE(at != std::string::npos);
    bench.disk.flip_bit(ring_file, at + 10, 1);
    CHECK(bench.verify().damaged == 1);
    REQUIRE(bench.repair());
    CHECK(bench.verify().is_sound());
    REQUIRE(bench.keeper.gaps.size() == 1);
    CHECK(bench.keeper.gaps.front().first == Offset{records + 4});
    CHECK(bench.keeper.gaps.front().end == Offset{records + 5});
    CHECK(bench.read_all().size() == records + 9);
}

TEST_CASE("repair: on a full disk nothing is changed", "[repair]") {
    RepairBench bench;
    bench.rot_batch(bench.bases[1], 2);
    bench.disk.set_capacity(1 * mib);
    const auto damaged = bench.disk.content(bench.path(bench.bases[1]));
    const auto names = bench.disk.list(folder).value().size();
    CHECK(bench.repair().error() == boost::system::errc::no_space_on_device);
    CHECK(bench.keeper.gaps.empty());
    CHECK(bench.disk.content(bench.path(bench.bases[1])) == damaged);
    CHECK(bench.disk.list(folder).value().size() == names);
}

TEST_CASE("repair: a folder in use is left alone, one without a log is none", "[repair]") {
    RepairBench bench;
    const auto lock = bench.disk.lock("/data/lock");
    REQUIRE(lock);
    CHECK(bench.repair().error() == boost::system::errc::operation_would_block);
    test::ForgetfulDisk empty;
    REQUIRE(empty.make_directory("/data"));
    CHECK(
        plan_repair(empty, "/data", {}).error() == boost::system::errc::no_such_file_or_directory
    );
}

TEST_CASE("repair: what others put there is named and stays", "[repair]") {
    RepairBench bench;
    REQUIRE(bench.disk.open("/data/t-0/notes.txt", OpenMode::create));
    bench.rot_batch(bench.bases[1], 2);
    const auto notes = bench.plan(false).notes;
    REQUIRE(notes.size() == 1);
    CHECK(notes.front() == "t-0/notes.txt: not ours; left alone");
    REQUIRE(bench.repair());
    CHECK(bench.disk.exists("/data/t-0/notes.txt"));
}

TEST_CASE("repair: an original is never written over", "[repair]") {
    RepairBench bench;
    const Offset base = bench.bases[1];
    bench.rot_batch(base, 2);
    REQUIRE(bench.repair());
    const Buffer first = bench.disk.content(bench.path(base).string() + ".damaged-1");
    bench.rot_batch(base, 1);
    const Buffer second = bench.disk.content(bench.path(base));
    REQUIRE(bench.repair());
    CHECK(bench.disk.content(bench.path(base).string() + ".damaged-1") == first);
    CHECK(bench.disk.content(bench.path(base).string() + ".damaged-2") == second);
    bench.check_whole(16);
}

TEST_CASE("repair: the power may go at any call, then it is done again", "[repair]") {
    RepairBench bench;
    const auto base = GENERATE(false, true) ? bench.bases[1] : bench.bases.back();
    const auto which = GENERATE(std::size_t{2}, std::size_t{99});
    const bool starts_first = GENERATE(false, true);
    const std::size_t last = bench.places(base).size() - 2;
    bench.rot_batch(base, std::min(which, last));
    const auto damaged = bench.disk.snapshot();
    int crashes = 0;
    for (std::uint64_t nth = 1;; ++nth) {
        INFO("base " << base.value() << ", call " << nth << ", gateway first " << starts_first);
        bench.back(damaged);
        bench.disk.crash_at(nth);
        const auto done = bench.repair();
        const bool crashed = bench.disk.is_off();
        CHECK(done.has_value() != crashed);
        if (!crashed) break;
        ++crashes;
        bench.disk.power_cut();
        bench.keeper.gaps.clear();  // they come again
        if (starts_first) {
            const auto found = bench.read_all();
            CHECK(found.size() >= records - 8);
            REQUIRE(bench.log->close());
            bench.log.reset();
        }
        REQUIRE(bench.repair());
        if (starts_first) {
            CHECK(bench.verify().is_sound());
            CHECK(bench.read_all().size() >= records - 8);
            bench.log.reset();
        } else {
            bench.check_whole(8);
        }
    }
    CHECK(crashes > 5);
}

}  // namespace milepost::storage
