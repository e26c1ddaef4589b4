#include "storage/log/verify.hpp"

#include "storage/base/units.hpp"
#include "storage/journal/ring.hpp"
#include "tests/unit/storage/segments/segment_bench.hpp"

#include <catch2/catch.hpp>

#include <functional>
#include <map>
#include <utility>
#include <vector>

using namespace milepost;
using namespace milepost::storage;
using namespace milepost::test;

namespace {

// A folder as a killed gateway leaves it. Partition t-0 from offset 0: two segments of 20 batches
// each (160 records), the second one checkpointed up to batch 35; the journal has batches 30 to 49
// (200 records in all), a frame each.
struct FolderBench : SegmentBench {
    static constexpr std::uint32_t generation = 1;

    FolderBench()
        : SegmentBench(Offset{0}) {
        write(20);
        second = base + 20 * records_per_batch;
        auto writer = SegmentWriter::create(disk, folder, second);
        REQUIRE(writer);
        REQUIRE((*writer)->append(batches(20, 40)));
        REQUIRE((*writer)->sync());
        make_journal(batches(20, 35).size());
        auto lock = disk.open("/data/lock", OpenMode::create);
        REQUIRE(lock);
        REQUIRE(disk.sync_directory("/data"));
    }

    void make_journal(std::uint64_t checkpointed_bytes) {
        REQUIRE(disk.make_directory("/data/journal"));
        RingHeader header;
        header.log_id = 77;
        header.ring_key = 99;
        header.generation = generation;
        header.ring_bytes = 256 * kib;
        auto ring = Ring::create(disk, "/data/journal", header, {});
        REQUIRE(ring);
        for (int i = 30; i < 49; ++i) {
            commit(**ring, i);
        }
        Checkpoint checkpoint;
        checkpoint.first_needed_sequence = 1;
        checkpoint.partitions.push_back({
            .name = {"t", 0},
            .start = Offset{0},
            .next = Offset{35 * records_per_batch},
            .active_base = second,
            .active_bytes = checkpointed_bytes,
        });
        REQUIRE((*ring)->write_slot(checkpoint));
        commit(**ring, 49);
        ring_file = ring_path("/data/journal", generation);
    }

    void commit(Ring& ring, int i) const {
        const Buffer bytes = batch(i);
        auto slot = ring.reserve(records_section_bytes(1, bytes.size()));
        REQUIRE(slot);
        const auto place = slot->writer.add_records("t", 0, bytes.size());
        std::copy(bytes.begin(), bytes.end(), place.begin());
        REQUIRE(ring.commit(*slot));
    }

    [[nodiscard]] std::filesystem::path second_path(SegmentFile kind) const {
        return segment_path(folder, second, kind);
    }

    VerifyReport verify(bool deep = false, std::vector<Gap> known = {}) {
        lines.clear();
        const VerifyOptions options{.deep = deep, .known_gaps = std::move(known)};
        const auto report = verify_folder(disk, "/data", options, [&](const VerifiedFile& line) {
            lines[line.path.string()] = line;
        });
        REQUIRE(report);
        return *report;
    }

    const VerifiedFile& line(const std::filesystem::path& path) {
        return lines.at(path.lexically_relative("/data").string());
    }

    Offset second;
    std::filesystem::path ring_file;
    std::map<std::string, VerifiedFile> lines;
};

bool says(const VerifiedFile& line, std::string_view text) {
    return line.note.find(text) != std::string::npos;
}

}  // namespace

TEST_CASE(
    "verify: a killed gateway's folder is sound and every record is counted once",
    "[verify]"
) {
    FolderBench bench;
    const auto report = bench.verify(GENERATE(false, true));
    CHECK(report.is_sound());
    CHECK(report.records == 200);
    CHECK(bench.lines.size() == 7);
    CHECK(says(bench.line(bench.ring_file), "20 frames, 40 records not in segments yet"));
}

TEST_CASE("verify: a tail torn behind the checkpoint is sound at every byte", "[verify]") {
    FolderBench bench;
    const std::size_t trusted = bench.batches(20, 35).size();
    const std::size_t all = bench.batches(20, 40).size();
    const auto state = bench.disk.snapshot();
    for (std::size_t cut = trusted; cut < all; cut += 7) {
        bench.disk.restore(state);
        bench.disk.cut(bench.second_path(SegmentFile::log), cut);
        const auto report = bench.verify();
        CHECK(report.is_sound());
        CHECK(report.records == 200);
    }
}

TEST_CASE("verify: rot behind the checkpoint is sound, the journal has it", "[verify]") {
    FolderBench bench;
    bench.disk.flip_bit(bench.second_path(SegmentFile::log), bench.batches(20, 36).size() + 30, 3);
    const auto report = bench.verify();
    CHECK(report.is_sound());
    CHECK(report.records == 200);
    CHECK(says(bench.line(bench.second_path(SegmentFile::log)), "are cut at the next start"));
}

TEST_CASE("verify: a segment shorter than its checkpoint is damaged", "[verify]") {
    FolderBench bench;
    bench.disk.cut(bench.second_path(SegmentFile::log), bench.batches(20, 25).size());
    const auto report = bench.verify();
    CHECK(report.damaged == 1);
    CHECK(report.holes == 1);  // the journal begins behind it
    CHECK_FALSE(bench.line(bench.second_path(SegmentFile::log)).is_sound);
}

TEST_CASE("verify: a bit flipped in any byte of a sealed segment is found", "[verify]") {
    FolderBench bench;
    const auto state = bench.disk.snapshot();
    const std::size_t begin = bench.batches(0, 3).size();
    const std::size_t end = bench.batches(0, 4).size();
    for (std::size_t at = begin; at < end; ++at) {
        bench.disk.restore(state);
        bench.disk.flip_bit(bench.path(SegmentFile::log), at, static_cast<unsigned>(at % 8));
        INFO("byte " << at - begin);
        const auto report = bench.verify();
        CHECK(report.damaged == 1);
        CHECK(report.holes == 0);
        CHECK_FALSE(bench.line(bench.path(SegmentFile::log)).is_sound);
    }
}

TEST_CASE("verify: a missing index is sound, a wrong one is not", "[verify]") {
    FolderBench bench;
    const auto kind = GENERATE(SegmentFile::offset_index, SegmentFile::time_index);
    const auto state = bench.disk.snapshot();
    const std::size_t bytes = bench.content(kind).size();
    for (std::size_t at = 0; at < bytes; ++at) {
        bench.disk.restore(state);
        bench.disk.flip_bit(bench.path(kind), at, static_cast<unsigned>(at % 8));
        INFO("byte " << at);
        // Behind the last batch an entry cannot be told from one of a tail that was cut.
        const auto report = bench.verify();
        const bool is_last = at + (kind == SegmentFile::time_index ? 12U : 8U) >= bytes;
        if (!is_last) CHECK(report.damaged == 1);
    }
    bench.disk.restore(state);
    bench.remove(kind);
    CHECK(bench.verify().is_sound());
    CHECK(says(bench.line(bench.path(kind)), "missing"));
}

TEST_CASE("verify: a segment that is gone is a hole", "[verify]") {
    FolderBench bench;
    for (const auto kind : all_kinds) {
        bench.remove(kind);
    }
    const auto report = bench.verify();
    CHECK(report.holes == 1);
    CHECK(report.damaged == 0);
}

TEST_CASE("verify: a hole is known if the gap ledger has all of it", "[verify]") {
    FolderBench bench;
    for (const auto kind : all_kinds) {
        bench.remove(kind);
    }
    const auto gap = [](std::int64_t first, std::int64_t end, const char* topic = "t") {
        return Gap{{topic, 0}, Offset{first}, Offset{end}, "rot", Timestamp{1}};
    };
    auto report = bench.verify(false, {gap(0, 80)});
    CHECK(report.is_sound());
    CHECK(report.holes == 1);
    CHECK(report.known_holes == 1);
    CHECK(says(bench.line(bench.second_path(SegmentFile::log)), "1 holes (known)"));
    CHECK(bench.verify(false, {gap(40, 80), gap(0, 20), gap(10, 40)}).is_sound());
    for (const auto& gaps : std::vector<std::vector<Gap>>{
             {gap(0, 79)},
             {gap(1, 80)},
             {gap(0, 40), gap(41, 80)},
             {gap(0, 80, "u")},
             {gap(80, 0)}}) {
        report = bench.verify(false, gaps);
        CHECK_FALSE(report.is_sound());
        CHECK(report.holes == 1);
        CHECK(report.known_holes == 0);
    }
}

TEST_CASE("verify: rot that the gap ledger has is damage as long as it is there", "[verify]") {
    FolderBench bench;
    bench.disk.flip_bit(bench.path(SegmentFile::log), bench.batches(0, 3).size() + 70, 1);
    const auto report =
        bench.verify(false, {{{"t", 0}, Offset{12}, Offset{16}, "rot", Timestamp{1}}});
    CHECK_FALSE(report.is_sound());
    CHECK(report.damaged == 1);
}

TEST_CASE("verify: holes that the journal and the checkpoint show can be known", "[verify]") {
    FolderBench bench;
    const auto state = bench.disk.snapshot();
    bench.disk.cut(bench.second_path(SegmentFile::log), 0);
    for (const auto kind : all_kinds) {
        REQUIRE(bench.disk.remove(bench.second_path(kind)));
    }
    // The journal begins with batch 30, offset 120.
    CHECK(bench.verify().holes == 1);
    CHECK(bench.verify(false, {{{"t", 0}, Offset{80}, Offset{120}, "rot", {}}}).is_sound());
    REQUIRE(bench.disk.remove(bench.ring_file));
    CHECK(bench.verify().is_sound());  // nothing says that there was more

    bench.disk.restore(state);
    for (int i = 0; i < 20; ++i) {
        bench.disk.flip_bit(
            bench.ring_file,
            ring_begin + static_cast<std::uint64_t>(i) * block_bytes + 100,
            1
        );
    }
    bench.disk.cut(bench.second_path(SegmentFile::log), 0);
    for (const auto kind : all_kinds) {
        REQUIRE(bench.disk.remove(bench.second_path(kind)));
    }
    const auto report = bench.verify(false, {{{"t", 0}, Offset{80}, Offset{140}, "rot", {}}});
    CHECK(report.holes == report.known_holes);
    CHECK(report.holes == 1);
    CHECK(report.damaged > 0);
}

TEST_CASE("verify: progress rises to the bytes of all segments", "[verify]") {
    FolderBench bench;
    std::uint64_t last = 0;
    std::uint64_t whole = 0;
    VerifyOptions options;
    options.on_progress = [&](std::uint64_t done, std::uint64_t all) {
        CHECK(done >= last);
        last = done;
        whole = all;
    };
    REQUIRE(verify_folder(bench.disk, "/data", options, [](const VerifiedFile&) {}));
    CHECK(whole == bench.batches(0, 40).size());
    CHECK(last == whole);
}

TEST_CASE("verify: a partition that is gone is a hole", "[verify]") {
    FolderBench bench;
    for (const auto kind : all_kinds) {
        bench.remove(kind);
        REQUIRE(bench.disk.remove(bench.second_path(kind)));
    }
    CHECK(bench.verify().holes == 1);
}

TEST_CASE("verify: a rotten frame is damage, the one that was never finished is not", "[verify]") {
    FolderBench bench;
    const auto state = bench.disk.snapshot();
    // The frames are a block each.
    bench.disk.flip_bit(bench.ring_file, ring_begin + 15 * block_bytes + 100, 1);
    auto report = bench.verify();
    CHECK(report.damaged == 1);
    CHECK(report.holes == 1);
    CHECK(report.records == 196);
    CHECK_FALSE(bench.line(bench.ring_file).is_sound);
    bench.disk.restore(state);
    bench.disk.flip_bit(bench.ring_file, ring_begin + 2 * block_bytes + 100, 1);
    report = bench.verify();
    CHECK(report.damaged == 1);
    CHECK(report.holes == 0);  // the segments have what it held
    bench.disk.restore(state);
    bench.disk.flip_bit(bench.ring_file, ring_begin + 19 * block_bytes + 100, 1);
    report = bench.verify();
    CHECK(report.is_sound());
    CHECK(report.records == 196);
    CHECK(says(bench.line(bench.ring_file), "torn end"));
}

TEST_CASE("verify: batches of an older try are left over, and sound", "[verify]") {
    FolderBench bench;
    Buffer log = bench.content(SegmentFile::log);
    append_bytes(log, bench.batch(20));
    bench.put(SegmentFile::log, log);
    const auto report = bench.verify();
    CHECK(report.is_sound());
    CHECK(report.records == 200);
    CHECK(says(bench.line(bench.path(SegmentFile::log)), "left over"));
}

TEST_CASE("verify: files of others are named and left alone", "[verify]") {
    FolderBench bench;
    for (const char* path :
         {"/data/notes.txt", "/data/t-0/x", "/data/t-0/00000000000000000099.index"}) {
        REQUIRE(bench.disk.open(path, OpenMode::create));
    }
    CHECK(bench.verify().is_sound());
    CHECK(says(bench.lines.at("notes.txt"), "not ours"));
    CHECK(says(bench.lines.at("t-0/x"), "not ours"));
    CHECK(says(bench.lines.at("t-0/00000000000000000099.index"), "without its segment"));
}

TEST_CASE("verify: a folder whose first start was cut short is sound and empty", "[verify]") {
    ForgetfulDisk disk;
    REQUIRE(disk.make_directory("/data"));
    REQUIRE(disk.lock("/data/lock"));
    const bool with_folder = GENERATE(false, true);
    if (with_folder) REQUIRE(disk.make_directory("/data/journal"));
    std::string note;
    const auto report = verify_folder(disk, "/data", {}, [&](const VerifiedFile& file) {
        note += file.path.string() + ": " + file.note;
    });
    REQUIRE(report);
    CHECK(report->is_sound());
    CHECK(report->records == 0);
    CHECK(note == "journal: not made yet: the first start was cut short");
}

TEST_CASE("verify: nothing there, and somebody there, are errors", "[verify]") {
    ForgetfulDisk disk;
    const auto ignore = [](const VerifiedFile&) {
    };
    CHECK(
        verify_folder(disk, "/data", {}, ignore).error() ==
        boost::system::errc::no_such_file_or_directory
    );
    REQUIRE(disk.make_directory("/data"));
    CHECK(
        verify_folder(disk, "/data", {}, ignore).error() ==
        boost::system::errc::no_such_file_or_directory
    );
    FolderBench bench;
    const auto lock = bench.disk.lock("/data/lock");
    REQUIRE(lock);
    CHECK(
        verify_folder(bench.disk, "/data", {}, ignore).error() ==
        boost::system::errc::operation_would_block
    );
}

TEST_CASE("verify: writes nothing", "[verify]") {
    FolderBench bench;
    bench.verify(true);
    const auto before = bench.disk.count(DiskCall::write) + bench.disk.count(DiskCall::truncate) +
                        bench.disk.count(DiskCall::overwrite) + bench.disk.count(DiskCall::rename) +
                        bench.disk.count(DiskCall::remove) + bench.disk.count(DiskCall::sync);
    bench.verify(true);
    CHECK(
        bench.disk.count(DiskCall::write) + bench.disk.count(DiskCall::truncate) +
            bench.disk.count(DiskCall::overwrite) + bench.disk.count(DiskCall::rename) +
            bench.disk.count(DiskCall::remove) + bench.disk.count(DiskCall::sync) ==
        before
    );
}
