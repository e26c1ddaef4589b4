// One transaction: when it begins, what it carries, in which order, and what becomes of it.
#include "gateway/forward/exactly_once_engine.hpp"

#include "tests/unit/gateway/forward/exactly_once_bench.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <chrono>
#include <string>

using namespace milepost;
using namespace milepost::forward;
using milepost::test::ExactlyOnceBench;
using milepost::test::values;
using std::chrono::milliseconds;
using std::chrono::seconds;
using upstream::Step;
using upstream::StepResult;

TEST_CASE("exactly_once: forwarded moves when the transaction is committed", "[forward]") {
    ExactlyOnceBench bench;
    const auto id = bench.log.ensure_topic("t", 1).value()[0];
    bench.run();
    bench.log.add(id, {.count = 5});
    bench.run_without_reports();
    CHECK(bench.kafka.ids[0].upstream.queue.size() == 5);
    bench.kafka.hangs = Step::commit;
    bench.run();
    CHECK(bench.kafka.steps.back().second == Step::commit);
    CHECK(bench.forwarded(0) == Offset{0});
    CHECK(bench.engine->in_flight() == 5);
    bench.kafka.hangs.reset();
    bench.run();
    CHECK(bench.forwarded(0) == Offset{5});
    CHECK(bench.engine->in_flight() == 0);
    CHECK(bench.kafka.committed == values(0, 5));
    CHECK(bench.stats.records.value() == 5);
    const auto position = bench.kafka.positions.at({"t", 0});
    CHECK(position.offset == 5);
    CHECK(position.metadata == "milepost/1 log=00000000000000aa instance=me offset=5");
}

TEST_CASE("exactly_once: what was given up to make room is passed at once", "[forward]") {
    ExactlyOnceBench bench;
    const auto id = bench.log.ensure_topic("t", 1).value()[0];
    bench.run();
    const auto transactions = bench.stats.transactions.value();
    bench.log.add_hole(id, 100'000);
    SECTION("with records behind it") {
        bench.log.add(id, {.count = 5});
    }
    SECTION("with nothing behind it") {}
    const auto end = bench.log.positions(id).durable;
    bench.log.drop_below(id, Offset{100'000});
    bench.run();
    CHECK(bench.stats.transactions.value() == transactions + 1);
    CHECK(bench.forwarded(0) == end);
    CHECK(bench.kafka.positions.at({"t", 0}).offset == end.value());
    CHECK(bench.kafka.committed.size() == static_cast<std::size_t>(end.value() - 100'000));
}

TEST_CASE("exactly_once: an aborted transaction is sent again, whole and in order", "[forward]") {
    ExactlyOnceBench bench;
    const auto id = bench.log.ensure_topic("t", 1).value()[0];
    bench.run();
    bench.log.add(id, {.count = 5});
    SECTION("the positions were refused") {
        bench.kafka.answer(Step::send_positions, StepResult::abort, 22);
    }
    SECTION("the commit was refused") {
        bench.kafka.answer(Step::commit, StepResult::abort, 15);
    }
    SECTION("a record failed") {
        bench.run_without_reports();
        bench.kafka.ids[0].upstream.confirm(2);
        bench.kafka.ids[0].upstream.settle(0, upstream::Fault::transient, -192);
    }
    bench.run();
    CHECK(bench.kafka.committed == values(0, 5));
    CHECK(bench.forwarded(0) == Offset{5});
    CHECK(bench.stats.aborted_transactions.value() == 1);
    CHECK(bench.stats.in_flight_records.value() == 0);
    CHECK(bench.kafka.ids[0].taken_over == 1);
}

TEST_CASE("exactly_once: a refused topic does not make transactions smaller", "[forward]") {
    ExactlyOnceBench bench;
    bench.kafka.add_topic("secret", 1);
    const auto secret = bench.log.ensure_topic("secret", 1).value()[0];
    const auto id = bench.log.ensure_topic("t", 1).value()[0];
    std::int64_t end = 0;
    const auto transactions_for_20000 = [&] {
        const auto before = bench.stats.transactions.value();
        for (int i = 0; i < 4; ++i)
            bench.log.add(id, {.count = 5000});
        end += 20'000;
        bench.run(200);
        REQUIRE(bench.forwarded(1) == Offset{end});
        return bench.stats.transactions.value() - before;
    };
    transactions_for_20000();
    const auto usual = transactions_for_20000();
    bench.kafka.forbidden = "secret";
    bench.log.add(secret, {.value = "s", .count = 2});
    bench.run(20);
    REQUIRE(bench.degraded().find("topic secret: ") != std::string::npos);
    CHECK(transactions_for_20000() <= usual + 1);  // the secret's turn alone
}

TEST_CASE("exactly_once: live traffic goes together every 100 ms at most", "[forward]") {
    ExactlyOnceBench bench;
    const auto id = bench.log.ensure_topic("t", 1).value()[0];
    bench.run();
    bench.kafka.steps.clear();
    for (int i = 0; i < 100; ++i) {  // a record a millisecond
        bench.log.add(id, {});
        for (int j = 0; j < 4; ++j) {
            bench.turn();
            bench.kafka.confirm_all();
        }
        bench.now += milliseconds{1};
    }
    const auto commits = [&] {
        return std::count_if(bench.kafka.steps.begin(), bench.kafka.steps.end(), [](auto step) {
            return step.second == Step::commit;
        });
    };
    CHECK(commits() == 1);
    bench.run();
    CHECK(commits() == 2);
    CHECK(bench.forwarded(0) == Offset{100});
}

TEST_CASE("exactly_once: the position goes first or last, as it is set", "[forward]") {
    ExactlyOnceBench bench;
    bench.log.add(bench.log.ensure_topic("t", 1).value()[0], {.count = 5});
    SECTION("first") {
        bench.settings.position_first = PositionFirst::always;
    }
    SECTION("last") {
        bench.settings.position_first = PositionFirst::never;
    }
    const bool first = bench.settings.position_first == PositionFirst::always;
    bench.kafka.hangs = Step::send_positions;
    bench.run_without_reports();
    CHECK(bench.kafka.steps.back().second == Step::send_positions);
    CHECK(bench.kafka.ids[0].upstream.queue.size() == (first ? 0 : 5));
    bench.kafka.hangs.reset();
    bench.run();
    CHECK(bench.kafka.committed == values(0, 5));
    CHECK(bench.kafka.positions.at({"t", 0}).offset == 5);
}

TEST_CASE("exactly_once: without a broker the positions go first", "[forward]") {
    ExactlyOnceBench bench;  // position_first = auto
    const auto id = bench.log.ensure_topic("t", 1).value()[0];
    for (int i = 0; i < 30; ++i) {
        if (i == 15) bench.log.add(id, {});  // the first one may have waited for a broker
        bench.turn(milliseconds{50});
        bench.kafka.confirm_all();
    }
    const bool is_away = GENERATE(false, true);
    if (is_away) bench.stats.brokers_connected.set(0);
    bench.kafka.hangs = Step::send_positions;
    bench.log.add(id, {});
    bench.run_without_reports();
    CHECK(bench.kafka.ids[0].upstream.queue.empty() == is_away);
}

TEST_CASE("exactly_once: a rate holds from transaction to transaction", "[forward]") {
    ExactlyOnceBench bench;
    bench.settings.rates = {.bytes_per_s = 0, .records_per_s = 200};
    const auto id = bench.log.ensure_topic("t", 1).value()[0];
    bench.run();
    bench.log.add(id, {.count = 10'000});
    const Instant begin = bench.now;
    while (bench.now - begin < seconds{20})
        bench.run(1);
    CHECK(bench.forwarded(0).value() == Approx(4000).margin(400));
}

TEST_CASE("exactly_once: the order follows the round trip that was measured", "[forward]") {
    ExactlyOnceBench bench;  // position_first = auto
    const auto id = bench.log.ensure_topic("t", 1).value()[0];
    const auto round_trip = GENERATE(milliseconds{0}, milliseconds{50});
    for (int i = 0; i < 30; ++i) {
        // The first one may have waited for a broker.
        if (i == 15) {
            bench.now += seconds{1};
            bench.log.add(id, {});
        }
        bench.turn(round_trip);
        bench.kafka.confirm_all();
    }
    REQUIRE(bench.stats.transactions.value() == 2);
    bench.log.add(id, {});
    bench.now += seconds{1};
    bench.kafka.hangs = Step::send_positions;
    for (int i = 0; i < 10; ++i)
        bench.turn();
    REQUIRE(bench.kafka.steps.back().second == Step::send_positions);
    CHECK(bench.kafka.ids[0].upstream.queue.empty() == (round_trip < milliseconds{5}));
}

TEST_CASE("exactly_once: commits that take long do not change the order", "[forward]") {
    ExactlyOnceBench bench;  // position_first = auto
    const auto id = bench.log.ensure_topic("t", 1).value()[0];
    bench.log.add(id, {.count = 5000});
    for (int i = 0; i < 10; ++i) {
        bench.kafka.hangs = Step::commit;
        bench.run(20);
        bench.turn(milliseconds{300});
        bench.kafka.hangs.reset();
        bench.turn();
    }
    REQUIRE(bench.stats.transactions.value() >= 5);
    bench.log.add(id, {});
    bench.now += seconds{1};
    bench.kafka.hangs = Step::send_positions;
    bench.run_without_reports();
    REQUIRE(bench.kafka.steps.back().second == Step::send_positions);
    CHECK(bench.kafka.ids[0].upstream.queue.empty());
}
