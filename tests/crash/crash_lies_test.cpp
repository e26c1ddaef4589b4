// Every call that makes something durable, removed in turn by a disk that only says "done" there: a
// violation must be found. Where none can be, the table says why.
#include "storage/journal/ring_header.hpp"
#include "tests/crash/crash_world.hpp"

#include <catch2/catch.hpp>

#include <string>
#include <string_view>
#include <vector>

namespace milepost::test {

using namespace storage;

namespace {

// Which file or folder a call is made on.
enum class On : std::uint8_t {
    frames,
    slots,
    ring,
    new_ring,
    segment,
    index,
    journal_folder,
    partition_folder,
    data_folder,
    parent_folder,
};

On place_of(const DiskMoment& made) {
    const std::string_view path = made.path;
    if (made.call == DiskCall::sync_directory) {
        if (path == "/") return On::parent_folder;
        if (path == "/data") return On::data_folder;
        return path == "/data/journal" ? On::journal_folder : On::partition_folder;
    }
    if (made.call == DiskCall::overwrite) return made.at < ring_begin ? On::slots : On::frames;
    if (path.ends_with("index")) return On::index;
    if (path.ends_with(".log")) return On::segment;
    return path.ends_with(".new") ? On::new_ring : On::ring;
}

using Lies = std::function<bool(const DiskMoment&, Moment)>;

struct Site {
    const char* where;
    On on;
    Moment moment;
    // A violation is found within so many worlds; 0: none can be, because …
    std::uint64_t worlds;
    const char* why_none;

    [[nodiscard]] Lies lies() const {
        return [*this](const DiskMoment& made, Moment when) {
            return when == moment && place_of(made) == on;
        };
    }
};

constexpr const char* a_hint =
    "indexes are hints: each entry is checked against its batch where it "
    "is used. These syncs spare a torn index that nobody makes again";
constexpr const char* settled =
    "settle() writes again what may be in the cache only. This sync is "
    "there so that the replay reads what the disk has, and that zeros "
    "written ahead are there before a commit overwrites them; this disk "
    "has neither a cache that can be dropped nor blocks to allocate";

const std::vector<Site> sites{
    {"Ring::commit", On::frames, Moment::life, 5, ""},
    {"Ring::write_slot", On::slots, Moment::life, 5, ""},
    {"Ring::make_file", On::new_ring, Moment::recovery, 30, ""},
    {"Ring::create, DiskLog::sync_names: journal/", On::journal_folder, Moment::recovery, 60, ""},
    {"Ring::make_file, in a renewal", On::new_ring, Moment::life, 60, ""},
    {"Ring::create: journal/, in a renewal", On::journal_folder, Moment::life, 60, ""},
    {"DiskLog::sync_names: its parent", On::parent_folder, Moment::recovery, 60, ""},
    {"DiskLog::ensure_topic", On::data_folder, Moment::topics, 60, ""},
    {"SegmentWriter::sync: the segment", On::segment, Moment::life, 5, ""},
    {"SegmentWriter::sync: its name", On::partition_folder, Moment::life, 5, ""},
    {"SegmentWriter::seal, at a roll", On::index, Moment::life, 0, a_hint},
    {"SegmentWriter::seal, in recovery", On::index, Moment::recovery, 0, a_hint},
    {"Ring::open", On::ring, Moment::recovery, 0, settled},
};

// Not found by chance, or only after long: see the scenarios below.
//   Ring::settle, the last frame and the slot; FolderRecovery::settle, the segment and its name;
//   DiskLog::sync_names and Recovery::make_folder, the data folder; PartitionWriter::end_segment,
//   Retainer::sync_folders and FolderRecovery::list, a partition's folder.
// sync_sites_test.cpp knows every call.

std::optional<std::string> first_violation(const Lies& lies, std::uint64_t worlds) {
    for (std::uint64_t seed = 1; seed <= worlds; ++seed) {
        CrashOptions options;
        options.seed = seed;
        options.lies = lies;
        CrashWorld world{options};
        if (auto violation = world.run()) return violation;
    }
    return std::nullopt;
}

ClockReading days_from_now(std::int64_t days) {
    ClockReading reading = read_clock();
    reading.wall += days * 86'400'000;
    reading.monotonic_ms += days * 86'400'000;
    return reading;
}

// One log with two partitions, step by step.
class Steps {
public:
    Steps(std::uint64_t seed, On lies_on)
        : disk{seed}
        , lies_on_(lies_on) {
        config.data_dir = "/data";
        config.limit_bytes = 1024 * mib;
        config.ring_bytes = ring_bytes_min;
        config.background = false;
    }

    void open() {
        log.reset();
        report = {};
        log = open_log().value();
        ids_ = log->ensure_topic("t", 2).value();
    }

    // The power goes when its topic is made.
    void open_until_crash() {
        log = open_log().value();
        REQUIRE_FALSE(log->ensure_topic("t", 2).has_value());
        log.reset();
    }

    // On a disk that lies, if it is to.
    template <class Work>
    void with_lies(bool lies, Work work) {
        disk.lie_where([on = lies_on_, lies](const DiskMoment& made) {
            return lies && place_of(made) == on;
        });
        work();
        disk.lie_where({});
    }

    void open_with_lies(bool lies) {
        log.reset();
        with_lies(lies, [&] { open(); });
    }

    // Segments of a few records each, all of them forwarded.
    void put_segments() {
        for (int i = 0; i < 12; ++i) {
            put(0);
            REQUIRE(log->checkpoint_now());
        }
        log->set_forwarded(ids_[0], log->positions(ids_[0]).durable);
    }

    // Stops it, and nothing of the journal is left.
    void lose_journal() {
        REQUIRE(log->close());
        log.reset();
        disk.power_cut();
        for (const auto& entry : disk.list("/data/journal").value())
            REQUIRE(disk.remove("/data/journal/" + entry.name));
        open();
    }

    [[nodiscard]] std::int64_t start(std::size_t partition) const {
        return log->positions(ids_[partition]).start.value();
    }

    void put(std::size_t partition) {
        if (log->append(ids_[partition], record("key", std::string(3000, 'v')), {})) log->commit();
    }

    [[nodiscard]] std::int64_t durable(std::size_t partition) const {
        return log->positions(ids_[partition]).durable.value();
    }

    ForgetfulDisk disk;
    RecoveryReport report;
    std::unique_ptr<DiskLog> log;
    LogConfig config;

private:
    Result<std::unique_ptr<DiskLog>> open_log() {
        return DiskLog::open_for_writing(
            config,
            {.files = disk, .keeper = keeper_, .listener = listener_, .post = {}},
            report
        );
    }

    On lies_on_;
    RecordingKeeper keeper_;
    RecordingListener listener_;
    std::vector<PartitionId> ids_;
};

// The next write to the journal reaches the cache and not the disk, no new ring can be made, and
// the process is killed then.
template <class Write>
void lose_write_back(Steps& steps, Write write) {
    steps.disk.fail(
        DiskCall::overwrite,
        1,
        {.error = 5, .for_ever = false, .short_bytes = mib, .lies = false}
    );
    steps.disk
        .fail(DiskCall::rename, 1, {.error = 5, .for_ever = true, .short_bytes = 0, .lies = false});
    write();
    steps.log.reset();
    steps.disk.clear_faults();
    steps.disk.kill_process();
}

// A frame that the sync failed for is seen by the next start; then it must stay.
bool loses_a_seen_frame(std::uint64_t seed, bool lies) {
    Steps steps{seed, On::frames};
    steps.open();
    steps.put(0);
    lose_write_back(steps, [&] { steps.put(0); });
    steps.open_with_lies(lies);
    const std::int64_t seen = steps.durable(0);
    steps.disk.power_cut();
    steps.open();
    return steps.durable(0) < seen;
}

// A slot that the sync failed for is believed by the next start, which goes over the frames that
// only an older slot needs.
bool loses_a_believed_slot(std::uint64_t seed, bool lies) {
    Steps steps{seed, On::slots};
    steps.open();
    for (int i = 0; i < 40; ++i)
        steps.put(0);
    lose_write_back(steps, [&] { (void)steps.log->checkpoint_now().has_error(); });
    steps.open_with_lies(lies);
    for (int i = 0; i < 60; ++i)
        steps.put(0);
    const std::int64_t durable = steps.durable(0);
    steps.log.reset();
    steps.disk.power_cut();
    steps.open();
    return steps.durable(0) < durable ||
           !CrashModel::check_report(steps.report).value_or("").empty();
}

// A segment that a killed checkpoint left in the cache is kept by the next start, and the next slot
// counts on it.
bool loses_a_kept_segment(std::uint64_t seed, On lies_on, bool lies) {
    Steps steps{seed, lies_on};
    steps.open();
    for (int i = 0; i < 10; ++i)
        steps.put(0);
    steps.disk.crash_at(DiskCall::sync, 1);
    (void)steps.log->checkpoint_now().has_error();
    steps.log.reset();
    steps.disk.kill_process();
    steps.open_with_lies(lies);
    steps.put(1);
    if (!steps.log->checkpoint_now()) return true;
    steps.log.reset();
    steps.disk.power_cut();
    steps.open();
    return steps.durable(0) < 10 || !steps.report.gaps.empty();
}

// A process is killed when it has made the folders of a topic and not synced their names; the next
// one finds them and writes segments there.
bool loses_a_found_folder(std::uint64_t seed, bool lies) {
    Steps steps{seed, On::data_folder};
    steps.disk.crash_at(DiskCall::sync_directory, 5);
    steps.open_until_crash();
    steps.disk.kill_process();
    steps.open_with_lies(lies);
    steps.put(0);
    if (!steps.log->checkpoint_now()) return true;
    steps.log.reset();
    steps.disk.power_cut();
    steps.open();
    return steps.durable(0) < 1 || !steps.report.gaps.empty();
}

// A partition's folder that is not there is made again for what the journal has of it.
bool loses_a_remade_folder(std::uint64_t seed, bool lies) {
    Steps steps{seed, On::data_folder};
    steps.open();
    steps.put(0);
    steps.log.reset();
    steps.disk.kill_process();
    REQUIRE(steps.disk.remove("/data/t-0"));
    REQUIRE(steps.disk.sync_directory("/data"));
    steps.open_with_lies(lies);
    if (!steps.log->checkpoint_now()) return true;
    steps.log.reset();
    steps.disk.power_cut();
    steps.open();
    return steps.durable(0) < 1 || !steps.report.gaps.empty();
}

// Everything is old and goes; without its journal only a name says where the offsets go on.
bool loses_the_place(std::uint64_t seed, bool lies) {
    Steps steps{seed, On::partition_folder};
    steps.config.retention["t"].age = std::chrono::milliseconds{1};
    steps.open();
    steps.put_segments();
    steps.with_lies(lies, [&] { REQUIRE(steps.log->retain_now(days_from_now(1))); });
    CHECK(steps.start(0) == 12);
    steps.lose_journal();
    return steps.durable(0) < 12;
}

// Segments are removed, and the journal is lost: an old name would be the start.
bool brings_back_the_removed(std::uint64_t seed, bool lies, bool in_recovery) {
    Steps steps{seed, On::partition_folder};
    steps.config.segment_bytes = 4 * kib;
    steps.config.codec = Codec::none;
    steps.config.retention["t"].bytes = 8 * kib;
    steps.open();
    steps.put_segments();
    if (in_recovery) {
        steps.disk.crash_at(DiskCall::remove, 1);
        CHECK_FALSE(steps.log->retain_now());
        steps.log.reset();
        steps.disk.kill_process();
        steps.open_with_lies(lies);
    } else {
        steps.with_lies(lies, [&] { REQUIRE(steps.log->retain_now()); });
    }
    const std::int64_t start = steps.start(0);
    CHECK(start > 6);
    steps.lose_journal();
    return steps.start(0) < start;
}

template <class Scenario>
int count_losses(Scenario scenario) {
    int losses = 0;
    for (std::uint64_t seed = 1; seed <= 20; ++seed)
        losses += scenario(seed) ? 1 : 0;
    return losses;
}

}  // namespace

TEST_CASE("crash: every sync that something depends on is missed when it is gone", "[crash]") {
    for (const Site& site : sites) {
        if (site.worlds == 0) continue;
        CAPTURE(site.where);
        CHECK(first_violation(site.lies(), site.worlds).has_value());
    }
}

TEST_CASE("crash: a sync that is said not to be needed is not", "[crash]") {
    for (const Site& site : sites) {
        if (site.worlds != 0) continue;
        CAPTURE(site.where, site.why_none);
        CHECK_FALSE(first_violation(site.lies(), 60).has_value());
    }
}

TEST_CASE("crash: without syncing names that were found, a partition's folder is lost", "[crash]") {
    CHECK(count_losses([](auto seed) { return loses_a_found_folder(seed, false); }) == 0);
    CHECK(count_losses([](auto seed) { return loses_a_found_folder(seed, true); }) > 0);
}

TEST_CASE("crash: without syncing a folder that is made again, what is in it is lost", "[crash]") {
    CHECK(count_losses([](auto seed) { return loses_a_remade_folder(seed, false); }) == 0);
    CHECK(count_losses([](auto seed) { return loses_a_remade_folder(seed, true); }) > 0);
}

TEST_CASE("crash: without syncing the place of what is gone, offsets are given again", "[crash]") {
    CHECK(count_losses([](auto seed) { return loses_the_place(seed, false); }) == 0);
    CHECK(count_losses([](auto seed) { return loses_the_place(seed, true); }) > 0);
}

TEST_CASE("crash: without syncing removals, what was removed comes back in parts", "[crash]") {
    for (const bool late : {false, true}) {
        CHECK(count_losses([&](auto seed) {
                  return brings_back_the_removed(seed, false, late);
              }) == 0);
        CHECK(count_losses([&](auto seed) {
                  return brings_back_the_removed(seed, true, late);
              }) > 0);
    }
}

TEST_CASE("crash: without settling the last frame, what was seen is lost", "[crash]") {
    CHECK(count_losses([](auto seed) { return loses_a_seen_frame(seed, false); }) == 0);
    CHECK(count_losses([](auto seed) { return loses_a_seen_frame(seed, true); }) > 0);
}

TEST_CASE("crash: without settling the slot, frames that are needed are overwritten", "[crash]") {
    CHECK(count_losses([](auto seed) { return loses_a_believed_slot(seed, false); }) == 0);
    CHECK(count_losses([](auto seed) { return loses_a_believed_slot(seed, true); }) > 0);
}

TEST_CASE("crash: without settling a segment that was kept, it is lost", "[crash]") {
    for (const On on : {On::segment, On::partition_folder}) {
        CHECK(count_losses([on](auto seed) { return loses_a_kept_segment(seed, on, false); }) == 0);
        CHECK(count_losses([on](auto seed) { return loses_a_kept_segment(seed, on, true); }) > 0);
    }
}

}  // namespace milepost::test
