#include "gateway/forward/topic_gate.hpp"

#include "tests/support/memory_log.hpp"
#include "tests/unit/gateway/forward/scripted_producer.hpp"

#include <catch2/catch.hpp>

#include <chrono>

using namespace milepost;
using namespace milepost::forward;
using milepost::test::MemoryLog;
using milepost::test::ScriptedProducer;
using milepost::test::ScriptedUpstream;
using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

struct GateBench {
    explicit GateBench(TopicGate::Rules rules = {})
        : gate(rules, table, stats, [this](int, std::string_view line) {
            lines.emplace_back(line);
        }) {}

    void add(std::string_view topic, std::int32_t partitions) {
        log.ensure_topic(topic, partitions).value();
        table.refresh(log);
    }

    // A turn of the owner's, `later` after the last one.
    void turn(Duration later = Duration::zero()) {
        now += later;
        gate.set_time(now, Timestamp{1000});
        if (!was_made) gate.producer_made();
        was_made = true;
        gate.open_topics(producer);
        gate.settle();
        gate.check_topics(producer);
    }

    [[nodiscard]] ForwardTopic& topic(std::size_t index = 0) { return table.topics()[index]; }

    [[nodiscard]] ForwardStatus status() const {
        ForwardStatus status;
        gate.describe(status, log);
        return status;
    }

    MemoryLog log;
    ForwardStats stats;
    std::vector<std::string> lines;
    ForwardTable table{"gw/00000000000000aa/", 1};
    TopicGate gate;
    ScriptedUpstream upstream;
    ScriptedProducer producer{upstream};
    Instant now{seconds{1000}};
    bool was_made = false;
};

const ErrorCode forbidden = upstream::upstream_error(29);

}  // namespace

TEST_CASE("topic_gate: a topic goes when the brokers know it", "[forward]") {
    GateBench bench;
    bench.upstream.topics["t"] = 3;
    bench.add("t", 3);
    CHECK(bench.topic().state == TopicState::unchecked);
    bench.turn();
    CHECK(bench.topic().state == TopicState::forwarding);
    CHECK(bench.topic().upstream_partitions == 3);
    CHECK_FALSE(bench.gate.wait());
}

TEST_CASE("topic_gate: nobody answers: asked again, ever less often, every second", "[forward]") {
    GateBench bench;
    bench.upstream.answers = false;
    bench.add("t", 1);
    Duration longest{};
    for (int i = 0; i < 20; ++i) {
        bench.turn(bench.gate.wait().value_or(Duration::zero()));
        REQUIRE(bench.gate.wait());
        longest = std::max(longest, *bench.gate.wait());
    }
    CHECK(longest > milliseconds{700});
    CHECK(longest <= seconds{1});
    CHECK(bench.status().degraded.empty());  // that is no topic's fault
}

TEST_CASE("topic_gate: a topic that failed drains first, waits, and is tried again", "[forward]") {
    GateBench bench;
    bench.upstream.topics = {{"t", 1}, {"other", 1}};
    bench.add("t", 1);
    bench.add("other", 1);
    bench.turn();
    bench.topic().in_flight = 2;
    bench.gate.stop(0, forbidden, "no");
    bench.gate.stop(0, forbidden, "the second failure says less");
    bench.turn();
    CHECK(bench.topic().state == TopicState::draining);
    bench.topic().in_flight = 0;
    bench.turn();
    CHECK(bench.topic().state == TopicState::waiting);
    CHECK(bench.topic(1).state == TopicState::forwarding);
    CHECK(bench.topic().problem == "no");
    bench.turn(seconds{31});
    CHECK(bench.topic().state == TopicState::forwarding);
    CHECK(bench.topic().problem == "no");  // until a record is confirmed
    bench.gate.confirmed(bench.topic());
    CHECK(bench.topic().problem.empty());
    CHECK(bench.stats.faults[static_cast<std::size_t>(upstream::Fault::topic)].value() == 2);
    CHECK(bench.lines.size() == 2);  // that it waits, and that it goes on
}

TEST_CASE("topic_gate: what failed with the producer is tried again at once", "[forward]") {
    GateBench bench;
    bench.upstream.topics["t"] = 1;
    bench.add("t", 1);
    bench.turn();
    bench.gate.retry_at_once(bench.topic(), upstream::Fault::transient);
    bench.turn();
    CHECK(bench.topic().state == TopicState::forwarding);
    CHECK(bench.lines.empty());
}

TEST_CASE("topic_gate: with a lost producer everything is looked up again", "[forward]") {
    GateBench bench;
    bench.upstream.topics["t"] = 1;
    bench.add("t", 1);
    bench.turn();
    bench.table.forget_producer();
    bench.gate.producer_lost();
    CHECK(bench.topic().state == TopicState::unchecked);
    bench.upstream.topics["t"] = 2;
    bench.turn();
    CHECK(bench.topic().upstream_partitions == 2);
}

TEST_CASE(
    "topic_gate: too few partitions upstream stop a topic where all are needed",
    "[forward]"
) {
    const bool needs_all = GENERATE(true, false);
    GateBench bench{{.needs_all_partitions = needs_all}};
    bench.upstream.topics["t"] = 1;
    bench.add("t", 2);
    bench.turn();
    CHECK(bench.topic().state == (needs_all ? TopicState::waiting : TopicState::forwarding));
}

TEST_CASE("topic_gate: a topic that is missing is made where that is wanted", "[forward]") {
    const bool create = GENERATE(true, false);
    GateBench bench{{.create_topics = create}};
    bench.add("t", 3);
    bench.turn();
    CHECK(bench.topic().state == TopicState::waiting);
    CHECK(bench.topic().problem.empty() == create);
    CHECK(bench.upstream.created == std::vector<std::string>(create ? 1 : 0, "t"));
    bench.turn(bench.gate.wait().value());
    CHECK((bench.topic().state == TopicState::forwarding) == create);
    CHECK(bench.topic().upstream_partitions == (create ? 3 : 0));
}

TEST_CASE("topic_gate: a topic that cannot be created waits and says why", "[forward]") {
    GateBench bench{{.create_topics = true}};
    bench.upstream.create_refused = forbidden;
    bench.add("t", 1);
    bench.log.add(storage::PartitionId{0}, {});
    bench.turn();
    const auto problem = "it cannot be created: " + forbidden.message();
    CHECK(bench.topic().state == TopicState::waiting);
    CHECK(bench.status().topics.at(0).problem == problem);
    CHECK(bench.status().degraded == std::vector<std::string>{"topic t: " + problem});
    CHECK(bench.lines == std::vector<std::string>{"forward: topic t waits: " + problem});
    bench.turn(seconds{31});
    CHECK(bench.lines.size() == 1);
    bench.upstream.create_refused = {};
    bench.turn(seconds{31});
    bench.turn(seconds{1});
    CHECK(bench.topic().state == TopicState::forwarding);
    CHECK(bench.status().degraded.empty());
}

TEST_CASE("topic_gate: a problem degrades only where something waits", "[forward]") {
    GateBench bench;
    bench.add("t", 1);
    bench.turn();
    CHECK(bench.status().degraded.empty());
    CHECK_FALSE(bench.status().topics.at(0).problem.empty());
    bench.log.add(storage::PartitionId{0}, {});
    REQUIRE(bench.status().degraded.size() == 1);
    CHECK(bench.status().degraded[0].starts_with("topic t: "));
}

TEST_CASE("topic_gate: a topic that stays here is never asked for", "[forward]") {
    GateBench bench;
    bench.log.config().local_topics = {"t"};
    bench.add("t", 1);
    bench.log.add(storage::PartitionId{0}, {});
    bench.turn();
    CHECK(bench.topic().state == TopicState::local);
    CHECK_FALSE(bench.topic().id);
    CHECK_FALSE(bench.gate.wait());
    CHECK(bench.status().topics.empty());
    CHECK(bench.status().degraded.empty());
}

TEST_CASE(
    "topic_gate: of many missing topics each turn makes one, for a second at most",
    "[forward]"
) {
    GateBench bench{{.create_topics = true}};
    for (const auto* const name : {"a", "b", "c"})
        bench.add(name, 1);
    for (std::size_t made = 1; made <= 3; ++made) {
        bench.turn();
        CHECK(bench.upstream.created.size() == made);
        CHECK(bench.upstream.create_wait <= seconds{1});
        if (made < 3) CHECK(bench.gate.wait() == Duration::zero());
    }
    bench.turn(seconds{1});
    for (std::size_t i = 0; i < 3; ++i)
        CHECK(bench.topic(i).state == TopicState::forwarding);
}
