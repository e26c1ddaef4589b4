#include "gateway/forward/feeder.hpp"

#include "tests/support/memory_log.hpp"
#include "tests/unit/gateway/forward/scripted_producer.hpp"

#include <catch2/catch.hpp>

using namespace milepost;
using namespace milepost::forward;
using milepost::storage::PartitionId;
using milepost::test::MemoryLog;
using milepost::test::ScriptedProducer;
using milepost::test::ScriptedUpstream;

namespace {

constexpr Timestamp wall{1'000'000'000};

struct FeederBench {
    explicit FeederBench(Feeder::Limits limits = {1000, 1'000'000})
        : feeder(log, stats, limits) {}

    [[nodiscard]] auto sent_to(std::string_view topic) const {
        return std::count_if(upstream.queue.begin(), upstream.queue.end(), [&](const auto& seen) {
            return seen.topic == topic;
        });
    }

    void open(std::string_view topic, std::int32_t partitions, std::int32_t upstream_partitions) {
        log.ensure_topic(topic, partitions).value();
        table.refresh(log);
        auto& opened = table.topics().back();
        opened.state = TopicState::forwarding;
        opened.upstream_partitions = upstream_partitions;
        opened.id = producer.open_topic(topic).value();
    }

    Feeder::Outcome feed() { return feeder.feed(table, producer, now, wall); }

    MemoryLog log;
    ForwardStats stats;
    ForwardTable table{
        "gw/00000000000000aa/",
        1,
        {.priorities = {{"urgent", Priority::high}, {"bulk", Priority::low}}}};
    ScriptedUpstream upstream;
    ScriptedProducer producer{upstream};
    Feeder feeder;
    Instant now{std::chrono::seconds{1000}};
};

}  // namespace

TEST_CASE("feeder: a tag gives partition and offset back, far beyond its bits", "[forward]") {
    const PartitionId partition{7};
    for (const std::int64_t base :
         {std::int64_t{0}, (std::int64_t{1} << 40) - 2, std::int64_t{1} << 50}) {
        const Offset confirmed{base};
        const Offset offset = confirmed + 5;
        const auto tag = tag_of(partition, offset);
        CHECK(partition_of(tag) == partition);
        CHECK(offset_of(tag, confirmed) == offset);
    }
}

TEST_CASE("feeder: a record goes with its headers, its id and, when late, its age", "[forward]") {
    FeederBench bench;
    bench.open("t", 2, 2);
    bench.log.add(PartitionId{1}, {.key = "V1", .value = "x", .timestamp = wall - 60'000});
    bench.log.add(PartitionId{1}, {.key = "V1", .value = "x", .timestamp = wall - 61'500});
    CHECK(bench.feed().records == 2);
    REQUIRE(bench.upstream.queue.size() == 2);
    const auto& first = bench.upstream.queue[0];
    CHECK(first.topic == "t");
    CHECK(first.partition == 1);
    CHECK(first.key == "V1");
    CHECK(first.value == "x0");
    using Headers = std::vector<std::pair<std::string, std::string>>;
    CHECK(
        first.headers ==
        Headers{{"content-type", "text/plain"}, {"mp.id", "gw/00000000000000aa/t-1/0"}}
    );
    CHECK(
        bench.upstream.queue[1].headers ==
        Headers{
            {"content-type", "text/plain"},
            {"mp.id", "gw/00000000000000aa/t-1/1"},
            {"mp.late", "61"}}
    );
}

TEST_CASE("feeder: with another number of partitions upstream the key decides", "[forward]") {
    FeederBench bench;
    bench.open("t", 1, 100);
    bench.log.add(PartitionId{0}, {.key = "21", .count = 2});
    bench.feed();
    REQUIRE(bench.upstream.queue.size() == 2);
    // murmur2("21") = -973932308 in Kafka's own test of Utils.murmur2.
    const std::int32_t expected = (-973932308 & 0x7fffffff) % 100;
    CHECK(bench.upstream.queue[0].partition == expected);
    CHECK(bench.upstream.queue[1].partition == expected);
}

TEST_CASE("feeder: a full queue keeps the place in the middle of a batch", "[forward]") {
    FeederBench bench;
    bench.upstream.queue_messages = 3;
    bench.open("t", 1, 1);
    bench.log.add(PartitionId{0}, {.count = 5});
    auto outcome = bench.feed();
    CHECK(outcome.queue_full);
    CHECK(outcome.records == 3);
    bench.upstream.queue_messages = 10;
    outcome = bench.feed();
    CHECK_FALSE(outcome.queue_full);
    CHECK(outcome.records == 2);
    CHECK(bench.upstream.queue.back().value == "v4");
    CHECK_FALSE(bench.feeder.has_more(bench.table));
}

TEST_CASE("feeder: a partition that does not move leaves room for the others", "[forward]") {
    FeederBench bench{{.queue_messages = 40, .queue_bytes = 1'000'000}};
    bench.open("stuck", 1, 1);
    for (int batch = 0; batch < 100; ++batch) {
        bench.log.add(PartitionId{0}, {});
    }
    bench.open("goes", 1, 1);
    bench.log.add(PartitionId{1}, {});
    while (bench.feed().records > 0) {
    }
    CHECK(bench.sent_to("goes") == 1);
    // A chunk more than its share, but not everything that it has.
    CHECK(bench.sent_to("stuck") >= 10);
    bench.log.add(PartitionId{1}, {});
    bench.feed();
    CHECK(bench.sent_to("goes") == 2);
}

TEST_CASE("feeder: what was dropped from the log is skipped", "[forward]") {
    FeederBench bench;
    bench.open("t", 1, 1);
    bench.log.add(PartitionId{0}, {.count = 5});
    bench.log.add(PartitionId{0}, {.count = 5});
    bench.log.drop_below(PartitionId{0}, Offset{5});
    CHECK(bench.feed().records == 5);
    CHECK(bench.upstream.queue.front().value == "v5");
    CHECK(bench.table[PartitionId{0}].window.confirmed() == Offset{5});
}

TEST_CASE("feeder: a hole at the end and one in the middle are passed", "[forward]") {
    FeederBench bench;
    bench.open("t", 1, 1);
    bench.log.add(PartitionId{0}, {.count = 2});
    bench.log.add_hole(PartitionId{0}, 10);
    bench.log.add(PartitionId{0}, {.count = 1});
    bench.log.add_hole(PartitionId{0}, 7);
    CHECK(bench.feed().records == 3);
    CHECK(bench.upstream.queue.back().value == "v12");
    CHECK_FALSE(bench.feeder.has_more(bench.table));
    CHECK(bench.table[PartitionId{0}].window.next() == Offset{20});
}

TEST_CASE("feeder: a refused record stops at its offset and says so", "[forward]") {
    FeederBench bench;
    bench.open("t", 1, 1);
    bench.log.add(PartitionId{0}, {.count = 2});
    bench.upstream.refuse = upstream::upstream_error(10);  // MSG_SIZE_TOO_LARGE
    const auto outcome = bench.feed();
    REQUIRE(outcome.trouble);
    CHECK(outcome.trouble->topic == 0);
    CHECK(outcome.trouble->text.find("t-0 offset 0") != std::string::npos);
    CHECK(bench.table[PartitionId{0}].window.in_flight() == 0);
}

namespace {

constexpr Rates slow_link{.bytes_per_s = 0, .records_per_s = 100};
constexpr int batch_records = 10;
constexpr std::size_t roomy = 100'000;

void add_backlog(FeederBench& bench, PartitionId id) {
    const std::string value(16'000, 'x');  // a batch is a chunk
    for (int i = 0; i < 100; ++i)
        bench.log.add(id, {.value = value, .count = batch_records});
}

// Confirms what goes, so that only the rate holds anything up.
void run_for(FeederBench& bench, std::chrono::seconds time) {
    for (const Instant end = bench.now + time; bench.now < end;) {
        const auto outcome = bench.feed();
        bench.now += outcome.paced.value_or(std::chrono::milliseconds{1});
    }
}

}  // namespace

TEST_CASE("feeder: over a slow link each topic gets its part, and none starves", "[forward]") {
    FeederBench bench{{.queue_messages = roomy, .queue_bytes = roomy * 16'000, .rates = slow_link}};
    bench.upstream.queue_messages = roomy;
    bench.open("bulk", 1, 1);
    bench.open("urgent", 1, 1);
    add_backlog(bench, PartitionId{0});
    add_backlog(bench, PartitionId{1});
    run_for(bench, std::chrono::seconds{8});
    const auto bulk = static_cast<double>(bench.sent_to("bulk"));
    const auto urgent = static_cast<double>(bench.sent_to("urgent"));
    CHECK(bulk + urgent == Approx(800).margin(20));
    CHECK(bulk / (bulk + urgent) == Approx(1.0 / 17).margin(0.03));
}

TEST_CASE("feeder: live readings that matter go before a backlog that does not", "[forward]") {
    FeederBench bench{{.queue_messages = roomy, .queue_bytes = roomy * 16'000, .rates = slow_link}};
    bench.upstream.queue_messages = roomy;
    bench.open("bulk", 1, 1);
    bench.open("urgent", 1, 1);
    add_backlog(bench, PartitionId{0});
    run_for(bench, std::chrono::seconds{2});
    REQUIRE(bench.sent_to("bulk") > 100);
    bench.log.add(PartitionId{1}, {});
    run_for(bench, std::chrono::seconds{1});
    const auto live = std::find_if(
        bench.upstream.queue.begin(),
        bench.upstream.queue.end(),
        [](const auto& seen) { return seen.topic == "urgent"; }
    );
    REQUIRE(live != bench.upstream.queue.end());
    // In the middle of a chunk of the other, after at most a few of its records.
    CHECK(bench.upstream.queue.end() - live > 80);
}

TEST_CASE("feeder: a topic that stays here is not sent", "[forward]") {
    FeederBench bench;
    bench.log.config().local_topics = {"private"};
    bench.log.ensure_topic("private", 1).value();
    bench.table.refresh(bench.log);
    bench.log.add(PartitionId{0}, {.count = 3});
    CHECK(bench.table.topics()[0].state == TopicState::local);
    CHECK_FALSE(bench.feeder.has_more(bench.table));
    CHECK(bench.feed().records == 0);
    bench.table.publish(bench.log);
    CHECK(bench.log.positions(PartitionId{0}).forwarded == Offset{0});
}
