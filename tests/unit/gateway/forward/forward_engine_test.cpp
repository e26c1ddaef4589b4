#include "gateway/forward/forward_engine.hpp"

#include "tests/support/memory_log.hpp"
#include "tests/unit/gateway/forward/scripted_producer.hpp"

#include <catch2/catch.hpp>

#include <chrono>

using namespace milepost;
using namespace milepost::forward;
using milepost::storage::PartitionId;
using milepost::test::MemoryLog;
using milepost::test::ScriptedProducer;
using milepost::test::ScriptedUpstream;
using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

struct Bench {
    explicit Bench(ForwardSettings settings = {.gateway_id = "gw"})
        : engine(
              std::move(settings),
              log,
              stats,
              [this](std::string& problem) -> Result<std::unique_ptr<upstream::Producer>> {
                  if (upstream.producers_failing > 0) {
                      --upstream.producers_failing;
                      problem = "no such setting";
                      return upstream::upstream_error(-186);  // _INVALID_ARG
                  }
                  return std::unique_ptr<upstream::Producer>{
                      std::make_unique<ScriptedProducer>(upstream)};
              },
              [this](int, std::string_view line) { lines.emplace_back(line); }
          ) {}

    ForwardEngine::Turn turn(Duration later = Duration::zero()) {
        now += later;
        return engine.turn(
            now,
            Timestamp{1'000'000} +
                std::chrono::duration_cast<milliseconds>(now.time_since_epoch()).count()
        );
    }

    // As the forwarder's thread would, until the engine wants to sleep.
    void run() {
        while (turn().wait == Duration::zero()) {
        }
    }

    [[nodiscard]] Offset forwarded(std::uint32_t id) const {
        return log.positions(PartitionId{id}).forwarded;
    }

    [[nodiscard]] ForwardStatus status() const { return engine.status(now, Timestamp{2'000'000}); }

    MemoryLog log;
    ForwardStats stats;
    ScriptedUpstream upstream;
    std::vector<std::string> lines;
    Instant now{seconds{1000}};
    ForwardEngine engine;
};

}  // namespace

TEST_CASE(
    "forward_engine: forwarded moves only over what was confirmed without a gap",
    "[forward]"
) {
    Bench bench;
    bench.upstream.topics["t"] = 1;
    const auto id = bench.log.ensure_topic("t", 1).value()[0];
    bench.log.add(id, {.count = 5});
    bench.run();
    REQUIRE(bench.upstream.queue.size() == 5);
    CHECK(bench.forwarded(0) == Offset{0});
    bench.upstream.settle(1);
    bench.run();
    CHECK(bench.forwarded(0) == Offset{0});
    bench.upstream.settle(0);
    bench.run();
    CHECK(bench.forwarded(0) == Offset{2});
    bench.upstream.confirm_all();
    bench.run();
    CHECK(bench.forwarded(0) == Offset{5});
    CHECK(bench.engine.in_flight() == 0);
    CHECK(bench.stats.records.value() == 5);
}

TEST_CASE("forward_engine: with nothing to do it asks for no timer", "[forward]") {
    Bench bench;
    bench.upstream.topics["t"] = 1;
    bench.log.ensure_topic("t", 1).value();
    bench.run();
    const auto turn = bench.turn();
    CHECK(turn.caught_up);
    CHECK_FALSE(turn.wait);
}

TEST_CASE(
    "forward_engine: goes on when the upstream comes back, however long it was away",
    "[forward]"
) {
    Bench bench;
    bench.upstream.answers = false;
    const auto id = bench.log.ensure_topic("t", 1).value()[0];
    bench.log.add(id, {.count = 3});
    for (int i = 0; i < 10'000; ++i) {
        const auto turn = bench.turn(seconds{10});
        REQUIRE(turn.wait);
        REQUIRE(*turn.wait <= seconds{2});
    }
    CHECK(bench.upstream.queue.empty());
    CHECK(bench.status().topics[0].state == TopicState::unchecked);
    bench.upstream.answers = true;
    bench.upstream.topics["t"] = 1;
    bench.turn(seconds{2});
    CHECK(bench.upstream.queue.size() == 3);
}

TEST_CASE("forward_engine: a missing topic waits and says so, the others go", "[forward]") {
    Bench bench;
    bench.upstream.topics["there"] = 1;
    const auto missing = bench.log.ensure_topic("missing", 1).value()[0];
    const auto there = bench.log.ensure_topic("there", 1).value()[0];
    bench.log.add(missing, {.count = 1});
    bench.log.add(there, {.count = 1});
    bench.run();
    REQUIRE(bench.upstream.queue.size() == 1);
    CHECK(bench.upstream.queue[0].topic == "there");
    bench.upstream.confirm_all();
    bench.run();
    const auto status = bench.status();
    CHECK(status.topics[0].state == TopicState::waiting);
    CHECK_FALSE(status.topics[0].problem.empty());
    CHECK(status.degraded.size() == 1);

    bench.upstream.topics["missing"] = 4;  // made meanwhile, by hand
    bench.turn(seconds{30});
    REQUIRE(bench.upstream.queue.size() == 1);
    CHECK(bench.upstream.queue[0].topic == "missing");
    CHECK(bench.status().degraded.empty());
}

TEST_CASE("forward_engine: makes a missing topic where it may", "[forward]") {
    Bench bench{{.gateway_id = "gw", .create_topics = true}};
    const auto id = bench.log.ensure_topic("t", 4).value()[2];
    bench.log.add(id, {.count = 1});
    bench.run();
    CHECK(bench.upstream.created == std::vector<std::string>{"t"});
    bench.turn(seconds{1});
    REQUIRE(bench.upstream.queue.size() == 1);
    CHECK(bench.upstream.queue[0].partition == 2);
}

TEST_CASE("forward_engine: a record that fails is sent again with what is behind it", "[forward]") {
    Bench bench;
    bench.upstream.topics["t"] = 1;
    const auto id = bench.log.ensure_topic("t", 1).value()[0];
    bench.log.add(id, {.count = 4});
    bench.run();
    bench.upstream.settle(0);
    bench.upstream.settle(0, upstream::Fault::topic, 29);  // TOPIC_AUTHORIZATION_FAILED
    bench.run();
    CHECK(bench.forwarded(0) == Offset{1});
    CHECK(bench.status().topics[0].state == TopicState::draining);
    bench.upstream.confirm_all();  // offsets 2 and 3: behind the failed one
    bench.run();
    CHECK(bench.forwarded(0) == Offset{1});
    CHECK(bench.status().topics[0].state == TopicState::waiting);
    CHECK(bench.upstream.queue.empty());

    bench.turn(seconds{30});
    REQUIRE(bench.upstream.queue.size() == 3);
    CHECK(bench.upstream.queue[0].value == "v1");
    CHECK_FALSE(bench.status().topics[0].problem.empty());  // until a record is confirmed
    bench.upstream.confirm_all();
    bench.run();
    CHECK(bench.forwarded(0) == Offset{4});
    CHECK(bench.status().topics[0].problem.empty());
}

TEST_CASE(
    "forward_engine: after a fatal error a new producer goes on behind the last confirmed",
    "[forward]"
) {
    Bench bench;
    bench.upstream.topics["t"] = 2;
    const auto ids = bench.log.ensure_topic("t", 2).value();
    bench.log.add(ids[0], {.count = 4});
    bench.log.add(ids[1], {.count = 2});
    bench.run();
    REQUIRE(bench.upstream.queue.size() == 6);
    bench.upstream.confirm(2);
    bench.upstream.fatal = "OUT_OF_ORDER_SEQUENCE_NUMBER: lost its memory";
    bench.run();  // what was not sent fails with the purge
    bench.turn();
    CHECK(bench.engine.in_flight() == 0);
    CHECK(bench.forwarded(0) == Offset{2});
    CHECK(bench.status().degraded.front().find("OUT_OF_ORDER") != std::string::npos);

    bench.turn(seconds{1});
    bench.run();
    CHECK(bench.upstream.producers == 2);
    REQUIRE(bench.upstream.queue.size() == 4);
    CHECK(bench.upstream.queue[0].value == "v2");
    bench.upstream.confirm_all();
    bench.run();
    CHECK(bench.forwarded(0) == Offset{4});
    CHECK(bench.forwarded(1) == Offset{2});
    const auto status = bench.status();
    for (const auto& reason : status.degraded) {
        CHECK(reason.find("producer") == std::string::npos);
    }
}

TEST_CASE("forward_engine: settings that give no producer are tried again", "[forward]") {
    Bench bench;
    bench.upstream.producers_failing = 2;
    bench.upstream.topics["t"] = 1;
    const auto id = bench.log.ensure_topic("t", 1).value()[0];
    bench.log.add(id, {});
    CHECK(bench.turn().wait > Duration::zero());
    CHECK(bench.status().degraded.front() == "producer: no such setting");
    bench.turn(seconds{1});
    bench.turn(seconds{1});
    CHECK(bench.upstream.queue.size() == 1);
}

TEST_CASE("forward_engine: a hang shows in the status and changes nothing", "[forward]") {
    Bench bench;
    bench.upstream.topics["t"] = 1;
    const auto id = bench.log.ensure_topic("t", 1).value()[0];
    bench.log.add(id, {});
    bench.run();
    bench.turn(seconds{29});
    CHECK_FALSE(bench.status().no_progress_since);
    bench.turn(seconds{2});
    CHECK(bench.status().no_progress_since);
    CHECK(bench.upstream.queue.size() == 1);
    CHECK(bench.upstream.producers == 1);
    bench.upstream.confirm_all();
    bench.turn();
    CHECK_FALSE(bench.status().no_progress_since);
}

TEST_CASE("forward_engine: rotten bytes stop their topic only", "[forward]") {
    Bench bench;
    bench.upstream.topics = {{"rotten", 1}, {"sound", 1}};
    const auto rotten = bench.log.ensure_topic("rotten", 1).value()[0];
    const auto sound = bench.log.ensure_topic("sound", 1).value()[0];
    bench.log.add(rotten, {});
    bench.log.rot_last(rotten);
    bench.log.add(sound, {});
    bench.run();
    REQUIRE(bench.upstream.queue.size() == 1);
    CHECK(bench.upstream.queue[0].topic == "sound");
    CHECK(bench.status().topics[0].problem.starts_with("reading rotten-0"));
}
