#include "gateway/tool/held_blocks.hpp"

#include "gateway/tool/record_block.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <vector>

using namespace milepost;
using namespace milepost::tool;

namespace {

HeldBlocks::Block make_block() {
    return std::make_shared<const int>(1);
}

}  // namespace

TEST_CASE("held blocks: one is let go with the last report of its records", "[replay]") {
    HeldBlocks held;
    auto first = make_block();
    auto second = make_block();
    const std::weak_ptr<const void> seen[] = {first, second};
    const std::uint64_t tags[] = {
        held.hold(first),
        held.hold(first),
        held.hold(second),
        held.hold(second)};
    first.reset();
    second.reset();
    CHECK(held.count() == 2);
    CHECK(std::ranges::find(tags, 0U) == std::end(tags));
    SECTION("in the order in which they were sent") {
        held.release(tags[0]);
        CHECK_FALSE(seen[0].expired());
        held.release(tags[1]);
        CHECK(seen[0].expired());
        held.release(tags[2]);
        CHECK_FALSE(seen[1].expired());
        held.release(tags[3]);
    }
    SECTION("partitions are reported each in its own time") {
        held.release(tags[3]);
        held.release(tags[0]);
        held.release(tags[2]);
        CHECK(seen[1].expired());
        CHECK_FALSE(seen[0].expired());
        CHECK(held.count() == 1);
        held.release(tags[1]);
    }
    CHECK(seen[0].expired());
    CHECK(seen[1].expired());
    CHECK(held.count() == 0);
}

TEST_CASE("held blocks: a block whose records are all reported is held anew", "[replay]") {
    HeldBlocks held;
    auto block = make_block();
    held.release(held.hold(block));
    CHECK(held.count() == 0);
    CHECK(block.use_count() == 1);
    const auto tag = held.hold(block);
    CHECK(held.count() == 1);
    CHECK(block.use_count() == 2);
    held.release(tag);
    CHECK(block.use_count() == 1);
}

TEST_CASE("held blocks: who ends before the reports lets go of everything", "[replay]") {
    auto block = make_block();
    {
        HeldBlocks held;
        held.hold(block);
        held.hold(make_block());
    }
    CHECK(block.use_count() == 1);
}

namespace {

std::shared_ptr<RecordBlock> filled(const std::shared_ptr<RecordBlocks>& blocks, Bytes value) {
    auto block = RecordBlocks::take(blocks);
    CHECK(block->entries().empty());
    ReplayRecord record;
    record.value = value;
    CHECK(block->add(record, "t", 0));
    return block;
}

}  // namespace

TEST_CASE("record blocks: one comes back when nobody has it any more", "[replay]") {
    const auto blocks = std::make_shared<RecordBlocks>();
    auto first = filled(blocks, as_bytes("a"));
    std::shared_ptr<const void> owner = first;
    const auto* const place = first.get();
    first.reset();
    CHECK(filled(blocks, as_bytes("b")).get() != place);
    std::thread{[last = std::move(owner)]() mutable {
        last.reset();
    }}.join();
    const auto one = RecordBlocks::take(blocks);
    const auto other = RecordBlocks::take(blocks);
    CHECK((one.get() == place || other.get() == place));
    CHECK(one->entries().empty());
    CHECK(other->entries().empty());
}

TEST_CASE("record blocks: one that a large record made large is not kept", "[replay]") {
    const auto blocks = std::make_shared<RecordBlocks>();
    const Buffer large(record_block_bytes + 1);
    CHECK(filled(blocks, large)->is_large());
    CHECK_FALSE(RecordBlocks::take(blocks)->is_large());
}

TEST_CASE("record blocks: a block outlives who gave it out", "[replay]") {
    auto blocks = std::make_shared<RecordBlocks>();
    const auto block = filled(blocks, as_bytes("kept"));
    blocks.reset();
    CHECK(as_text(*block->entries()[0].record.value) == "kept");
}
