#include "gateway/forward/chunk.hpp"

#include "tests/support/matchers.hpp"
#include "tests/support/memory_log.hpp"

using namespace milepost;
using namespace milepost::forward;
using milepost::storage::Offset;
using milepost::test::MemoryLog;

TEST_CASE("chunk: gives the records from the asked offset on, over batches", "[forward]") {
    MemoryLog log;
    const auto id = log.ensure_topic("t", 1).value()[0];
    log.add(id, {.count = 3});
    log.add(id, {.count = 2, .codec = storage::Codec::zstd});
    Chunk chunk;
    REQUIRE(chunk.read(log, id, Offset{1}, 1'000'000));
    for (std::int64_t offset = 1; offset < 5; ++offset) {
        REQUIRE(chunk.record() != nullptr);
        CHECK(chunk.record()->offset == Offset{offset});
        CHECK(as_text(*chunk.record()->value) == "v" + std::to_string(offset));
        REQUIRE(chunk.advance());
    }
    CHECK(chunk.record() == nullptr);
    CHECK(chunk.end() == Offset{5});
}

TEST_CASE("chunk: where nothing is durable there is no record", "[forward]") {
    MemoryLog log;
    const auto id = log.ensure_topic("t", 1).value()[0];
    log.add(id, {.count = 3});
    Chunk chunk;
    REQUIRE(chunk.read(log, id, Offset{3}, 1'000'000));
    CHECK(chunk.record() == nullptr);
    CHECK(chunk.end() == Offset{3});
}

TEST_CASE("chunk: rotten bytes are an error, never records", "[forward]") {
    MemoryLog log;
    const auto id = log.ensure_topic("t", 1).value()[0];
    log.add(id, {.count = 1});
    log.rot_last(id);
    Chunk chunk;
    CHECK_FALSE(chunk.read(log, id, Offset{0}, 1'000'000));
    CHECK(chunk.record() == nullptr);
}
