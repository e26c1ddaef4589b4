// Producers that come, hang, and go.
#include "tests/unit/gateway/forward/exactly_once_bench.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <chrono>
#include <string>

using namespace milepost;
using namespace milepost::forward;
using milepost::test::ExactlyOnceBench;
using milepost::test::values;
using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;
using upstream::Step;
using upstream::StepResult;

TEST_CASE("exactly_once: nothing begins before every old id is taken over", "[forward]") {
    ExactlyOnceBench bench;
    bench.log.add(bench.log.ensure_topic("t", 2).value()[0], {.count = 5});
    SECTION("one producer, two before") {
        bench.lanes = 1;
    }
    SECTION("two producers") {
        bench.lanes = 2;
    }
    bench.kafka.hangs = Step::init;
    bench.run();
    CHECK(bench.kafka.steps.size() == 2);
    bench.kafka.hangs.reset();
    bench.run();
    CHECK(bench.kafka.ids[0].taken_over == 1);
    CHECK(bench.kafka.ids[1].taken_over == 1);
    CHECK(bench.kafka.committed == values(0, 5));
}

TEST_CASE("exactly_once: while ids are waited for the brokers are asked again", "[forward]") {
    ExactlyOnceBench bench;
    auto& ours = bench.kafka.ids[0].upstream;
    auto& old = bench.kafka.ids[1].upstream;
    bench.kafka.hangs = Step::init;
    for (auto& id : bench.kafka.ids)
        id.upstream.answers = false;
    bench.log.add(bench.log.ensure_topic("t", 4).value()[0], {.count = 10});
    bench.run_without_reports();
    CHECK(ours.metadata_requests > 1);
    CHECK(old.producers == 0);  // a producer that is made later is faster
    for (auto& id : bench.kafka.ids)
        id.upstream.answers = true;
    bench.run_without_reports();
    CHECK(old.producers == 1);
    CHECK(old.metadata_requests > 1);

    bench.kafka.hangs.reset();
    bench.run();
    CHECK(bench.forwarded(0) == Offset{10});
    const auto asked = ours.metadata_requests;
    bench.log.add(storage::PartitionId{0}, {.count = 10});
    bench.run();
    CHECK(ours.metadata_requests == asked);
    CHECK(bench.forwarded(0) == Offset{20});
}

TEST_CASE(
    "exactly_once: a producer that hangs does not keep the other one's waiting",
    "[forward]"
) {
    ExactlyOnceBench bench{2};
    const auto ids = bench.log.ensure_topic("t", 2).value();
    bench.run();
    bench.log.add(ids[0], {});
    bench.kafka.hangs = Step::commit;
    bench.run();
    const auto turn = bench.turn();
    REQUIRE(bench.engine->in_flight() == 1);
    REQUIRE(turn.gathering);
    REQUIRE(turn.wait);
    CHECK(*turn.wait <= milliseconds{20});
}

TEST_CASE("exactly_once: two producers share out the partitions", "[forward]") {
    ExactlyOnceBench bench{2};
    const auto ids = bench.log.ensure_topic("t", 4).value();
    for (const auto id : ids) {
        bench.log.add(id, {.count = 3});
    }
    bench.run();
    for (std::uint32_t id = 0; id < 4; ++id) {
        CHECK(bench.forwarded(id) == Offset{3});
    }
    const auto commits = [&](std::size_t number) {
        return std::count(
            bench.kafka.steps.begin(),
            bench.kafka.steps.end(),
            std::pair{number, Step::commit}
        );
    };
    CHECK(commits(0) == 1);
    CHECK(commits(1) == 1);
    CHECK(bench.engine->unsaved().size() == 4);
    bench.engine->mark_saved(bench.engine->unsaved());
    CHECK(bench.engine->unsaved().empty());
}

TEST_CASE("exactly_once: after 30 s of a hang a new producer takes over", "[forward]") {
    ExactlyOnceBench bench;
    bench.log.add(bench.log.ensure_topic("t", 1).value()[0], {.count = 5});
    const auto hanging = GENERATE(Step::send_positions, Step::commit, Step::abort);
    if (hanging == Step::abort) bench.kafka.answer(Step::commit, StepResult::abort, -185);
    bench.kafka.hangs = hanging;
    bench.run();
    CHECK(bench.kafka.steps.back().second == hanging);
    bench.turn(seconds{20});
    CHECK(bench.stats.producers.value() == 1);
    bench.turn(seconds{10});
    CHECK(bench.said("a new one takes over: nothing was confirmed for 30 s"));
    CHECK(bench.degraded().find("nothing was confirmed for") != std::string::npos);
    bench.kafka.hangs.reset();
    bench.run();
    CHECK(bench.stats.producers.value() == 2);
    CHECK(bench.kafka.ids[0].taken_over == 2);
    CHECK(bench.kafka.committed == values(0, 5));
    CHECK(bench.forwarded(0) == Offset{5});
    CHECK(bench.degraded().find("nothing was confirmed") == std::string::npos);
}

TEST_CASE(
    "exactly_once: a broker that hangs from the start is waited for since then",
    "[forward]"
) {
    ExactlyOnceBench bench;
    bench.kafka.hangs = Step::init;
    bench.turn();
    bench.turn(seconds{29});
    CHECK(bench.degraded().find("nothing was confirmed for") == std::string::npos);
    bench.turn(seconds{2});
    const auto since = bench.engine->status(bench.now, Timestamp{2'031'000}).no_progress_since;
    CHECK(since == Timestamp{2'000'000});
}

TEST_CASE("exactly_once: what moves, however slowly, is no hang", "[forward]") {
    ExactlyOnceBench bench;
    bench.log.add(bench.log.ensure_topic("t", 1).value()[0], {.count = 5});
    bench.kafka.hangs = Step::commit;
    bench.run_without_reports();
    for (int i = 0; i < 5; ++i) {
        bench.turn(seconds{20});
        bench.kafka.ids[0].upstream.confirm(1);
        bench.turn();
    }
    CHECK(bench.stats.producers.value() == 1);
    bench.kafka.hangs.reset();
    bench.run();
    CHECK(bench.kafka.committed == values(0, 5));
}

TEST_CASE("exactly_once: a hang is counted from the start at the earliest", "[forward]") {
    ExactlyOnceBench bench;
    bench.now += hours{1};
    bench.kafka.hangs = Step::init;
    bench.run(3);
    CHECK(bench.degraded().find("nothing was confirmed") == std::string::npos);
    bench.turn(seconds{31});
    CHECK(bench.degraded().find("nothing was confirmed for") != std::string::npos);
}

TEST_CASE("exactly_once: who is not let in tries with another producer", "[forward]") {
    ExactlyOnceBench bench;
    const auto id = bench.log.ensure_topic("t", 1).value()[0];
    auto& upstream = bench.kafka.ids[0].upstream;
    SECTION("at the start") {
        bench.kafka.hangs = Step::init;
    }
    SECTION("inside a transaction") {
        bench.run();
        bench.kafka.hangs = Step::commit;
    }
    bench.log.add(id, {.count = 5});
    bench.run();
    CHECK(upstream.producers == 1);
    upstream.login_refused = "wrong password";
    for (int i = 0; i < 10; ++i)
        bench.turn(seconds{1});
    CHECK(upstream.producers >= 3);
    CHECK(upstream.producers <= 6);
    CHECK(bench.degraded().find("producer: wrong password") != std::string::npos);

    upstream.login_refused.clear();
    bench.kafka.hangs.reset();
    bench.run(100);
    const auto made = upstream.producers;
    CHECK(bench.kafka.committed == values(0, 5));
    CHECK(bench.degraded().find("wrong password") == std::string::npos);
    bench.turn(seconds{20});
    CHECK(upstream.producers == made);
}

TEST_CASE("exactly_once: who ran out of time tries again at once, each time", "[forward]") {
    ExactlyOnceBench bench;
    const int code = GENERATE(-185, 15);  // _TIMED_OUT, COORDINATOR_NOT_AVAILABLE
    for (int i = 0; i < 20; ++i)          // for both ids
        bench.kafka.answer(Step::init, StepResult::again, code);
    bench.log.add(bench.log.ensure_topic("t", 1).value()[0], {});
    while (!bench.kafka.answers[Step::init].empty())
        bench.turn(milliseconds{100});
    const auto began = bench.now;
    while (bench.forwarded(0) == Offset{0})
        bench.run(1);
    if (code == -185) CHECK(bench.now - began <= seconds{2});
    if (code == 15) CHECK(bench.now - began > seconds{5});
}
