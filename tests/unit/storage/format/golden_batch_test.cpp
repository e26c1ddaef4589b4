// Bytes that a real broker wrote: tests/golden/README.md says how they were made.
#include "storage/format/batch_builder.hpp"
#include "storage/format/record_batch.hpp"
#include "tests/support/matchers.hpp"

#include <catch2/catch.hpp>

#include <fstream>
#include <iterator>
#include <optional>
#include <string>
#include <vector>

using namespace milepost;
using namespace milepost::storage;

namespace {

std::string golden_log(const std::string& codec) {
    std::ifstream file{
        MILEPOST_GOLDEN_DIR "/golden." + codec + "-0/00000000000000000000.log",
        std::ios::binary};
    REQUIRE(file);
    return {std::istreambuf_iterator<char>{file}, {}};
}

std::string expected_value(int i) {
    const std::string vehicle = "V000" + std::to_string(i % 3);
    return R"({"v":1,"vehicle":")" + vehicle + R"(","seq":)" + std::to_string(i / 3 + 1) +
           R"(,"signals":{"Vehicle.Speed":)" + std::to_string(40 + i) +
           R"(.5,"Vehicle.Powertrain.CombustionEngine.Speed":)" + std::to_string(1500 + 7 * i) +
           "}}";
}

void check_record(const StoredRecord& record, int i) {
    REQUIRE(record.offset == Offset{i});
    if (i == 240) {
        CHECK(as_text(*record.key) == "lonely key");
        CHECK_FALSE(record.value);
        CHECK(record.header_count == 0);
        return;
    }
    CHECK(as_text(*record.key) == "V000" + std::to_string(i % 3));
    CHECK(as_text(*record.value) == expected_value(i));
    CHECK(record.header_count == 2);
    HeaderCursor headers{record};
    const auto topic = headers.next();
    REQUIRE(topic);
    CHECK(topic->name == "mqtt.topic");
    CHECK(as_text(topic->value) == "vehicles/x/telemetry");
    CHECK(headers.next()->name == "empty");
}

struct Read {
    std::int64_t offset;
    std::optional<std::string> key;
    std::string value;
    std::int64_t timestamp;
};

std::vector<Read> read_golden(const std::string& name, int& control_batches) {
    const std::string log = golden_log(name);
    std::vector<Read> all;
    Buffer scratch;
    for (Bytes rest = as_bytes(log); !rest.empty();) {
        const auto header = check_batch(rest);
        REQUIRE(header);
        if (header->is_control) ++control_batches;
        auto cursor = RecordCursor::open(rest, *header, scratch);
        REQUIRE(cursor);
        for (auto record = cursor->next();; record = cursor->next()) {
            REQUIRE(record);
            if (!record->has_value()) break;
            const StoredRecord& read = **record;
            std::optional<std::string> key;
            if (read.key) key = std::string{as_text(*read.key)};
            REQUIRE(read.value);
            all.push_back(
                {read.offset.value(),
                 key,
                 std::string{as_text(*read.value)},
                 read.timestamp.value()}
            );
        }
        rest = rest.subspan(header->total_bytes);
    }
    return all;
}

}  // namespace

TEST_CASE("golden: of transactions the records are read, the markers are not", "[golden]") {
    int control_batches = 0;
    const auto all = read_golden("transactions", control_batches);
    CHECK(control_batches == 3);  // commit, abort, commit
    std::vector<std::string> committed;
    std::int64_t last = -1;
    for (const Read& record : all) {
        CHECK(record.offset > last);
        last = record.offset;
        CHECK(record.key == "V1");
        if (record.value.starts_with("committed ")) committed.push_back(record.value.substr(10));
    }
    CHECK(committed == std::vector<std::string>{"0", "1", "2", "3", "4", "5", "6", "7"});
    CHECK(all.size() > committed.size());  // what was aborted is there: an index of its own says so
    const auto offset_of = [&](std::size_t index) {
        return all[index].offset;
    };
    CHECK(offset_of(5) == 6);  // 5 was a marker
    CHECK(offset_of(all.size() - 3) - offset_of(all.size() - 4) == 2);
}

TEST_CASE(
    "golden: with LogAppendTime a batch's records have its time; keys may be null",
    "[golden]"
) {
    int control_batches = 0;
    const auto all = read_golden("append_time", control_batches);
    REQUIRE(all.size() == 6);
    for (std::size_t i = 0; i < all.size(); ++i) {
        CHECK(all[i].offset == static_cast<std::int64_t>(i));
        CHECK_FALSE(all[i].key);
        CHECK(all[i].timestamp == all[i < 4 ? 0 : 4].timestamp);
        CHECK(all[i].timestamp > 1'795'000'000'000);
    }
    CHECK(all[0].value == "without a key 0");
    CHECK(all[5].value == "later 5");
    CHECK(all[4].timestamp > all[0].timestamp);
}

TEST_CASE("golden: a compacted segment has its records at their old offsets", "[golden]") {
    int control_batches = 0;
    const auto all = read_golden("compacted", control_batches);
    CHECK(all.size() == 14);
    std::int64_t last = -1;
    for (const Read& record : all) {
        CHECK(record.offset > last);
        last = record.offset;
        CHECK(record.value == std::to_string(record.offset));
        CHECK(record.key == "V" + std::to_string(record.offset % 3 == 1 ? record.offset : 0));
    }
    CHECK(last == 39);
}

TEST_CASE("golden: every record that a broker stored is read, with every codec", "[golden]") {
    const std::string name = GENERATE("none", "gzip", "snappy", "lz4", "zstd");
    const std::string log = golden_log(name);
    Buffer scratch;
    int count = 0;
    for (Bytes rest = as_bytes(log); !rest.empty();) {
        const auto header = check_batch(rest);
        REQUIRE(header);
        auto cursor = RecordCursor::open(rest, *header, scratch);
        REQUIRE(cursor);
        for (;;) {
            const auto record = cursor->next();
            REQUIRE(record);
            if (!record->has_value()) break;
            check_record(**record, count++);
        }
        rest = rest.subspan(header->total_bytes);
    }
    CHECK(count == 241);
}

TEST_CASE("golden: a broker's batch, built again here, has the same bytes", "[golden]") {
    const std::string log = golden_log("none");
    BatchBuilder builder;
    Buffer scratch;
    for (Bytes rest = as_bytes(log); !rest.empty();) {
        const auto header = check_batch(rest);
        REQUIRE(header);
        const Bytes theirs = rest.first(header->total_bytes);
        builder.start(header->base_offset);
        auto cursor = RecordCursor::open(theirs, *header, scratch);
        REQUIRE(cursor);
        for (auto record = *cursor->next(); record; record = *cursor->next()) {
            builder.add(*record);
        }
        const Bytes ours = builder.finish_plain();
        // The producer's id, epoch and sequence are the broker's business.
        CHECK(same_bytes(
            ours.subspan(batch_layout::record_count),
            theirs.subspan(batch_layout::record_count)
        ));
        CHECK(same_bytes(ours.first(batch_layout::crc), theirs.first(batch_layout::crc)));
        rest = rest.subspan(header->total_bytes);
    }
}
