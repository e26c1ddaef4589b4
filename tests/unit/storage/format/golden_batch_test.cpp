// Bytes that a real broker wrote: tests/golden/README.md says how they were made.
#include "storage/format/batch_builder.hpp"
#include "storage/format/record_batch.hpp"
#include "tests/support/matchers.hpp"

#include <catch2/catch.hpp>

#include <fstream>
#include <iterator>
#include <string>

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

}  // namespace

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
