#include "gateway/forward/forward_table.hpp"

#include "tests/support/memory_log.hpp"

#include <catch2/catch.hpp>

#include <array>

using namespace milepost;
using namespace milepost::forward;
using milepost::storage::ForwardPosition;
using milepost::test::MemoryLog;

TEST_CASE("forward_table: partitions begin at the stored position, within the log", "[forward]") {
    MemoryLog log;
    const auto ids = log.ensure_topic("t", 3).value();
    for (const auto id : ids) {
        log.add(id, {.count = 10});
    }
    ForwardTable table{"gw/aa/", 1};
    const std::array stored{
        ForwardPosition{{"t", 0}, Offset{4}},
        ForwardPosition{{"t", 1}, Offset{99}},  // more than the log has: an older copy of it
    };
    table.load(stored);
    table.refresh(log);
    CHECK(table[ids[0]].window.next() == Offset{4});
    CHECK(table[ids[1]].window.next() == Offset{10});
    CHECK(table[ids[2]].window.next() == Offset{0});
    CHECK(log.positions(ids[0]).forwarded == Offset{4});
    CHECK(table.topics().size() == 1);
    CHECK(table.topics()[0].partitions == 3);
}

TEST_CASE("forward_table: only positions that moved are saved, and only once", "[forward]") {
    MemoryLog log;
    const auto ids = log.ensure_topic("t", 2).value();
    log.add(ids[1], {.count = 2});
    ForwardTable table{"gw/aa/", 1};
    table.refresh(log);
    CHECK(table.unsaved().empty());
    table[ids[1]].window.sent(Offset{0});
    table[ids[1]].window.confirm(Offset{0});
    CHECK(table.unsaved().empty());
    table.take_confirmed();
    const auto unsaved = table.unsaved();
    CHECK(unsaved == std::vector<ForwardPosition>{{{"t", 1}, Offset{1}, Offset{0}}});
    table.mark_saved(unsaved);
    CHECK(table.unsaved().empty());
    table.publish(log);
    CHECK(log.positions(ids[1]).forwarded == Offset{1});
}

TEST_CASE("forward_table: what Kafka has is kept, and saved when it is another", "[forward]") {
    MemoryLog log;
    const auto id = log.ensure_topic("t", 1).value()[0];
    log.add(id, {.count = 9});
    ForwardTable table{"gw/aa/", 1};
    const std::array stored{ForwardPosition{{"t", 0}, Offset{6}, Offset{4}}};
    table.load(stored);
    table.refresh(log);
    CHECK(table.unsaved().empty());
    table[id].forwarded = Offset{7};
    CHECK(table.unsaved() == std::vector<ForwardPosition>{{{"t", 0}, Offset{7}, Offset{4}}});
    table.mark_saved(table.unsaved());
    table[id].in_kafka = Offset{7};
    CHECK(table.unsaved() == std::vector<ForwardPosition>{{{"t", 0}, Offset{7}, Offset{7}}});
    table.mark_saved(table.unsaved());
    CHECK(table.unsaved().empty());
}

TEST_CASE("forward_table: a topic that appears later is taken in", "[forward]") {
    MemoryLog log;
    log.ensure_topic("a", 1).value();
    ForwardTable table{"gw/aa/", 1};
    table.refresh(log);
    log.ensure_topic("b", 2).value();
    table.refresh(log);
    REQUIRE(table.partitions().size() == 3);
    CHECK(table.topics()[1].name == "b");
    CHECK(table.partitions()[2].record_id == "gw/aa/b-1/");
}
