#include "storage/log/batch_merger.hpp"

#include "storage/format/record_batch.hpp"
#include "tests/support/matchers.hpp"

#include <catch2/catch.hpp>

#include <string>
#include <vector>

namespace milepost::storage {

namespace {

// A plain batch of `count` records from `base` on, and the entry that a tail would have of it.
struct Group {
    Group(std::int64_t base, int count) {
        BatchBuilder builder;
        builder.start(Offset{base});
        for (int i = 0; i < count; ++i) {
            const std::string value = "value " + std::to_string(base + i);
            builder.add(RecordView{
                .timestamp = Timestamp{1000 + base + i},
                .key = as_bytes("k"),
                .value = as_bytes(value),
                .headers = {}});
        }
        const Bytes finished = builder.finish_plain();
        bytes.assign(finished.begin(), finished.end());
        entry = {
            .base = Offset{base},
            .next = builder.next_offset(),
            .batch = bytes,
            .max_timestamp = builder.max_timestamp()};
    }

    Buffer bytes;
    TailEntry entry;
};

struct Merged {
    Offset base;
    Offset next;
    std::vector<std::string> values;
};

class Merging {
public:
    Merging(std::size_t batch_bytes, Codec codec, std::int64_t from)
        : merger(batch_bytes) {
        merger.start(Offset{from}, codec, [this](const MergedBatch& batch) { return take(batch); });
    }

    Result<void> take(const MergedBatch& batch) {
        const auto header = check_batch(batch.bytes);
        REQUIRE(header);
        CHECK(header->base_offset == batch.base);
        CHECK(header->next_offset() == batch.next);
        CHECK(header->max_timestamp == batch.max_timestamp);
        Merged got{.base = batch.base, .next = batch.next, .values = {}};
        Buffer scratch;
        auto cursor = RecordCursor::open(batch.bytes, *header, scratch).value();
        for (auto record = cursor.next().value(); record; record = cursor.next().value()) {
            got.values.emplace_back(as_text(record->value.value()));
        }
        merged.push_back(std::move(got));
        return {};
    }

    BatchMerger merger;
    std::vector<Merged> merged;
};

}  // namespace

TEST_CASE("batch merger: small groups become one batch with the same records", "[merger]") {
    for (const Codec codec : {Codec::none, Codec::lz4, Codec::zstd}) {
        const Group one{0, 3};
        const Group two{3, 2};
        Merging merging{1 << 16, codec, 0};
        REQUIRE(merging.merger.add(one.entry));
        REQUIRE(merging.merger.add(two.entry));
        CHECK(merging.merged.empty());
        REQUIRE(merging.merger.flush());
        REQUIRE(merging.merged.size() == 1);
        CHECK(merging.merged[0].values.size() == 5);
        CHECK(merging.merged[0].values[4] == "value 4");
    }
}

TEST_CASE("batch merger: a batch ends when it has its size", "[merger]") {
    const Group group{0, 100};
    Merging merging{500, Codec::none, 0};
    REQUIRE(merging.merger.add(group.entry));
    REQUIRE(merging.merger.flush());
    CHECK(merging.merged.size() > 3);
    Offset expected{0};
    for (const Merged& batch : merging.merged) {
        CHECK(batch.base == expected);
        expected = batch.next;
    }
    CHECK(expected == Offset{100});
}

TEST_CASE("batch merger: records before the place to begin at are left out", "[merger]") {
    const Group group{10, 5};
    Merging merging{1 << 16, Codec::none, 13};
    REQUIRE(merging.merger.add(group.entry));
    REQUIRE(merging.merger.flush());
    REQUIRE(merging.merged.size() == 1);
    CHECK(merging.merged[0].values == std::vector<std::string>{"value 13", "value 14"});
}

TEST_CASE("batch merger: no batch goes over a hole", "[merger]") {
    const Group one{0, 2};
    const Group two{7, 2};
    Merging merging{1 << 16, Codec::none, 0};
    REQUIRE(merging.merger.add(one.entry));
    REQUIRE(merging.merger.add(two.entry));
    REQUIRE(merging.merger.flush());
    REQUIRE(merging.merged.size() == 2);
    CHECK(merging.merged[0].next == Offset{2});
    CHECK(merging.merged[1].base == Offset{7});
}

}  // namespace milepost::storage
