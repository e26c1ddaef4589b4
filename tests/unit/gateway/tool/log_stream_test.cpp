#include "gateway/tool/archive_file.hpp"
#include "gateway/tool/archive_source.hpp"
#include "gateway/tool/failure.hpp"
#include "gateway/tool/read_ahead.hpp"
#include "gateway/tool/record_stream.hpp"
#include "storage/format/batch_builder.hpp"
#include "tests/support/seeded_random.hpp"
#include "tests/support/temp_dir.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <vector>

using namespace milepost;
using namespace milepost::tool;

namespace {

struct Written {
    std::int64_t timestamp;
    std::string key;
};

// A log in memory; batches of two records.
class MemoryLog : public LogSource {
public:
    void add(const storage::TopicPartition& name, const std::vector<Written>& records) {
        auto& batches = batches_[name];
        for (std::size_t i = 0; i < records.size(); i += 2) {
            storage::BatchBuilder builder;
            builder.start(storage::Offset{static_cast<std::int64_t>(i)});
            for (std::size_t j = i; j < std::min(i + 2, records.size()); ++j) {
                builder.add(
                    {Timestamp{records[j].timestamp}, as_bytes(records[j].key), as_bytes("v"), {}}
                );
            }
            Buffer bytes;
            REQUIRE(builder.finish(storage::Codec::none, bytes).has_value());
            batches.push_back(bytes);
        }
        ends_[name] = storage::Offset{static_cast<std::int64_t>(records.size())};
        all_[name] = records;
    }

    void rot(const storage::TopicPartition& name, std::size_t batch) {
        batches_[name][batch].back() ^= std::byte{1};
    }

    Status status() override { return {}; }

    std::vector<PartitionFacts> partitions() override {
        std::vector<PartitionFacts> facts;
        for (const auto& [name, end] : ends_) {
            facts.push_back(
                {.name = name, .start = storage::Offset{0}, .forwarded = {}, .durable = end}
            );
        }
        return facts;
    }

    Chunk read(
        const storage::TopicPartition& name,
        storage::Offset from,
        std::size_t /*bytes_max*/
    ) override {
        Chunk chunk{
            .next = from,
            .start = storage::Offset{0},
            .durable = ends_[name],
            .batches = {}};
        if (from >= ends_[name]) return chunk;
        // One buffer for all, as the real ones: what was given before is gone.
        buffer_ = batches_[name][static_cast<std::size_t>(from.value() / 2)];
        chunk.batches = buffer_;
        chunk.next = std::min(ends_[name], storage::Offset{from.value() / 2 * 2 + 2});
        return chunk;
    }

    storage::Offset find_timestamp(const storage::TopicPartition& name, Timestamp time) override {
        const auto& records = all_[name];
        const auto found = std::ranges::find_if(records, [&](const Written& record) {
            return record.timestamp >= time.value();
        });
        return storage::Offset{found - records.begin()};
    }

    bool wait(const storage::TopicPartition&, storage::Offset, std::chrono::milliseconds) override {
        return false;
    }

private:
    std::map<storage::TopicPartition, std::vector<Buffer>> batches_;
    std::map<storage::TopicPartition, storage::Offset> ends_;
    std::map<storage::TopicPartition, std::vector<Written>> all_;
    Buffer buffer_;
};

std::string all_of(RecordStream& stream) {
    std::string text;
    while (const auto* record = stream.next()) {
        text += std::string{record->topic} + std::to_string(record->partition) + ':' +
                std::to_string(record->offset.value()) + ' ';
        stream.pass();
    }
    return text;
}

struct Fixture {
    MemoryLog log;
    Selection selection;

    Fixture() {
        log.add({"a", 0}, {{10, "V1"}, {30, "V2"}, {20, "V1"}, {50, "V1"}, {60, "V2"}});
        log.add({"a", 1}, {{15, "V3"}, {30, "V3"}, {55, "V3"}});
        log.add({"b", 0}, {{5, "V1"}});
    }

    std::string read(const std::vector<StreamPosition>& resume = {}) {
        return all_of(*open_log_stream(log, selection, "", resume));
    }
};

}  // namespace

TEST_CASE("log stream: partitions merge by timestamp, each in its own order", "[replay]") {
    Fixture f;
    CHECK(f.read() == "b0:0 a0:0 a1:0 a0:1 a0:2 a1:1 a0:3 a1:2 a0:4 ");
}

TEST_CASE("log stream: from any record on it goes on as it would have", "[replay]") {
    Fixture f;
    const auto whole = f.read();
    for (std::size_t count = 0; count < 9; ++count) {
        const auto stream = open_log_stream(f.log, f.selection, "", {});
        std::string text;
        for (std::size_t i = 0; i < count; ++i) {
            const auto* record = stream->next();
            REQUIRE(record != nullptr);
            text += std::string{record->topic} + std::to_string(record->partition) + ':' +
                    std::to_string(record->offset.value()) + ' ';
            stream->pass();
        }
        REQUIRE(stream->next() != nullptr);  // one is at hand and not passed
        CHECK(text + f.read(stream->positions()) == whole);
    }
}

TEST_CASE("log stream: takes what is selected", "[replay]") {
    Fixture f;
    f.selection.topics = {"a"};
    f.selection.keys = {"V1"};
    CHECK(f.read() == "a0:0 a0:2 a0:3 ");
    f.selection.keys = {};
    f.selection.partition = 0;
    f.selection.offsets = {1, 3};
    CHECK(f.read() == "a0:1 a0:2 ");
    f.selection = {};
    f.selection.since = Timestamp{16};
    f.selection.until = Timestamp{55};
    CHECK(f.read() == "a0:1 a0:2 a1:1 a0:3 ");
    f.selection = {};
    f.selection.topics = {"none"};
    CHECK_THROWS_AS(f.read(), Failure);
}

TEST_CASE("log stream: every record has its identity for ever", "[replay]") {
    Fixture f;
    f.selection.topics = {"a"};
    f.selection.partition = 1;
    const auto stream = open_log_stream(f.log, f.selection, "gw/0123", {});
    const auto* record = stream->next();
    REQUIRE(record != nullptr);
    REQUIRE(record->headers.size() == 1);
    CHECK(record->headers[0].name == "mp.id");
    CHECK(as_text(record->headers[0].value) == "gw/0123/a-1/0");
}

TEST_CASE("read ahead: from any record on the same records, then the same end", "[replay]") {
    Fixture f;
    const auto whole = f.read();
    for (std::size_t count = 0; count < 9; ++count) {
        const auto stream = read_ahead(open_log_stream(f.log, f.selection, "gw/0123", {}));
        for (std::size_t i = 0; i < count; ++i) {
            REQUIRE(stream->next() != nullptr);
            stream->pass();
        }
        const auto* record = stream->next();  // at hand and not passed
        REQUIRE(record != nullptr);
        CHECK(record->headers[0].name == "mp.id");
        CHECK(record->value.has_value());
        const auto taken = static_cast<std::ptrdiff_t>(count);
        std::string rest = whole;
        for (std::ptrdiff_t i = 0; i < taken; ++i)
            rest.erase(0, rest.find(' ') + 1);
        CHECK(f.read(stream->positions()) == rest);
        while (stream->next() != nullptr)
            stream->pass();
        CHECK(stream->next() == nullptr);
        CHECK(stream->progress().done == stream->progress().all);
    }
}

TEST_CASE("read ahead: an error comes behind the records before it", "[replay]") {
    Fixture f;
    f.log.rot({"a", 1}, 1);
    const auto stream = read_ahead(open_log_stream(f.log, f.selection, "", {}));
    for (int i = 0; i < 5; ++i) {  // up to a1:0 and what is before its next one
        REQUIRE(stream->next() != nullptr);
        stream->pass();
    }
    CHECK_THROWS_AS(all_of(*stream), Failure);
}

TEST_CASE("read ahead: what a record is a view of stays while somebody has its owner", "[replay]") {
    Fixture f;
    std::vector<Written> records;
    constexpr std::int64_t count = 10'000;  // many blocks
    for (std::int64_t i = 0; i < count; ++i)
        records.push_back({i, "V" + std::to_string(i)});
    f.log.add({"long", 0}, records);
    const auto stream = read_ahead(open_log_stream(f.log, f.selection, "", {}));
    std::vector<std::pair<ReplayRecord, std::shared_ptr<const void>>> kept;
    std::vector<std::weak_ptr<const void>> owners;
    while (const auto* record = stream->next()) {
        REQUIRE(record->owner != nullptr);
        if (record->topic == "long") kept.emplace_back(*record, *record->owner);
        stream->pass();
    }
    REQUIRE(kept.size() == records.size());
    for (std::size_t i = 0; i < kept.size(); ++i) {
        if (as_text(*kept[i].first.key) != records[i].key)
            FAIL("record " << i << " was written over");
        owners.emplace_back(kept[i].second);
    }
    CHECK(kept.front().second != kept.back().second);
    kept.clear();
    CHECK(owners.front().expired());
}

namespace {

void write(const std::filesystem::path& file, const std::string& text) {
    std::ofstream{file, std::ios::binary} << text;
}

// Stops behind `frames` of them, and goes on as after a kill.
std::string archive_of(Fixture& f, const std::filesystem::path& file, int frames) {
    auto positions = select_positions(f.log, f.selection);
    std::string text;
    std::uint64_t records = 0;
    append_archive_head("gw/0123", text);
    const auto copy = [&](const ArchiveSource::Newest& newest, int most) {
        ArchiveSource source{f.log, f.selection, positions, newest};
        for (int i = 0; i < most; ++i) {
            const auto batch = source.next();
            if (!batch) break;
            append_archive_frame(batch->name, batch->bytes, text);
            records += batch->records;
            source.pass();
        }
        positions = source.positions();
    };
    copy({}, frames);
    write(file, text);
    ArchiveFile begun{file, text.size()};
    ArchiveSource::Newest newest;
    ArchiveFile::Frame frame;
    while (begun.next(frame)) {
        auto& known = newest.try_emplace(frame.name, INT64_MIN).first->second;
        known = std::max(known, frame.batch.max_timestamp);
    }
    copy(newest, INT32_MAX);
    append_archive_end(records, text);
    write(file, text);
    const Selection everything;
    return all_of(*open_archive_stream(file, everything, {}));
}

}  // namespace

TEST_CASE("archive: whatever the clocks did, records come as from the log", "[replay]") {
    const test::TempDir folder;
    test::SeededRandom random{7};
    for (int round = 0; round < 200; ++round) {
        Fixture f;
        for (int partition = 0; partition < 4; ++partition) {
            std::vector<Written> records;
            std::int64_t clock = 0;
            for (auto left = random.below(20); left > 0; --left) {
                clock += static_cast<std::int64_t>(random.below(3));
                if (random.chance(1, 6)) clock = static_cast<std::int64_t>(random.below(40));
                records.push_back({clock, "V" + std::to_string(random.below(3))});
            }
            f.log.add({"c", partition}, records);
        }
        if (random.chance(1, 2)) f.selection.keys = {"V1", "V2"};
        if (random.chance(1, 2)) f.selection.offsets = {1, 9};
        const auto frames = static_cast<int>(random.below(20));
        CHECK(archive_of(f, folder.path() / "archive", frames) == f.read());
    }
}

TEST_CASE("archive: goes on at any record", "[replay]") {
    const test::TempDir folder;
    Fixture f;
    const auto file = folder.path() / "archive";
    auto rest = archive_of(f, file, 0);
    const auto stream = open_archive_stream(file, f.selection, {});
    while (stream->next() != nullptr) {
        CHECK(all_of(*open_archive_stream(file, f.selection, stream->positions())) == rest);
        stream->pass();
        rest.erase(0, rest.find(' ') + 1);
    }
}
