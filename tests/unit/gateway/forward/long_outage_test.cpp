// A day without an upstream, on an injected clock, before a sink that records: nothing changes but
// the lag.
#include "gateway/forward/exactly_once_engine.hpp"
#include "gateway/forward/forward_engine.hpp"
#include "tests/support/memory_log.hpp"
#include "tests/unit/gateway/forward/scripted_transactions.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <chrono>

using namespace milepost;
using namespace milepost::forward;
using milepost::storage::PartitionId;
using milepost::test::MemoryLog;
using milepost::test::ScriptedKafka;
using milepost::test::ScriptedProducer;
using milepost::test::ScriptedTransactions;
using milepost::test::ScriptedUpstream;
using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

namespace {

constexpr int readings_a_minute = 2;
constexpr auto a_day = hours{24};
constexpr std::int64_t readings_a_day = std::int64_t{readings_a_minute} * (a_day / minutes{1});

// A log that grows while an engine is turned as its owner would, on a clock that jumps from wait to
// wait.
struct Clock {
    explicit Clock(MemoryLog& filled)
        : log(filled)
        , id(filled.ensure_topic("t", 1).value()[0]) {}

    // `upstream`: what it does after each turn.
    template <class Upstream>
    void pass(Engine& engine, Duration time, bool grows, const Upstream& upstream) {
        const Instant end = now + time;
        Instant next_readings = now + minutes{1};
        while (now < end) {
            const auto turn = engine.turn(now, wall());
            ++turns;
            in_flight_most = std::max(in_flight_most, engine.in_flight());
            upstream();
            const Instant next = std::min(end, grows ? next_readings : end);
            now = std::min(now + std::max(turn.wait.value_or(a_day), grows ? late : tick), next);
            if (grows && now >= next_readings) {
                log.add(id, {.count = readings_a_minute});
                next_readings += minutes{1};
            }
        }
    }

    [[nodiscard]] Timestamp wall() const {
        return Timestamp{1'000'000} +
               std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch())
                   .count();
    }

    [[nodiscard]] std::vector<std::string> degraded(const Engine& engine) const {
        return engine.status(now, wall()).degraded;
    }

    static constexpr Duration tick = std::chrono::milliseconds{10};  // a turn, and to wake again
    static constexpr Duration late = seconds{5};  // a busy machine: which may change nothing either
    MemoryLog& log;
    PartitionId id;
    Instant now{seconds{1000}};
    std::uint64_t turns = 0;
    std::uint64_t in_flight_most = 0;
};

std::vector<std::string> expected_values() {
    std::vector<std::string> all;
    for (std::int64_t i = 0; i < readings_a_day; ++i) {
        all.push_back("v" + std::to_string(i));
    }
    return all;
}

DeadLetterWiring no_dead_letters() {
    return {
        .post = [](const std::function<void()>&) { FAIL("nothing is set aside"); },
        .enter = [](const storage::Gap&) -> Result<void> {
            return {};
        }};
}

}  // namespace

TEST_CASE("forward: at least once, a day away changes nothing but the lag", "[forward]") {
    MemoryLog log;
    ForwardStats stats;
    ScriptedUpstream upstream;
    upstream.topics["t"] = 1;
    upstream.queue_messages = 100;
    int lines = 0;
    ForwardEngine engine{
        {.gateway_id = "gw", .queue_messages = 100},
        log,
        stats,
        [&](std::string&) -> Result<std::unique_ptr<upstream::Producer>> {
            return std::unique_ptr<upstream::Producer>{
                std::make_unique<ScriptedProducer>(upstream)};
        },
        no_dead_letters(),
        [&](int, std::string_view) {
            ++lines;
        }};
    Clock clock{log};
    clock.pass(engine, minutes{1}, false, [&] { upstream.confirm_all(); });
    REQUIRE(clock.degraded(engine).size() == 1);  // nobody told of a connected broker
    upstream.answers = false;
    clock.pass(engine, a_day, true, [] {});
    CHECK(log.positions(clock.id).forwarded == Offset{0});
    CHECK(log.positions(clock.id).durable == Offset{readings_a_day});
    CHECK(clock.in_flight_most <= 100);
    CHECK(stats.producers.value() == 1);
    CHECK(lines == 0);
    CHECK(clock.turns < 20'000);
    CHECK(engine.status(clock.now, clock.wall()).no_progress_since);
    upstream.answers = true;
    clock.pass(engine, minutes{10}, false, [&] { upstream.confirm_all(); });
    CHECK(log.positions(clock.id).forwarded == Offset{readings_a_day});
    std::vector<std::string> values;
    for (const auto& seen : upstream.delivered) {
        values.push_back(seen.value);
    }
    CHECK(values == expected_values());
}

TEST_CASE("forward: exactly once, a day away changes nothing but the lag", "[forward]") {
    MemoryLog log;
    ForwardStats stats;
    ScriptedKafka kafka;
    kafka.add_topic("t", 1);
    kafka.ids[0].upstream.queue_messages = 100;
    int lines = 0;
    ExactlyOnceEngine engine{
        {.gateway_id = "gw", .instance_id = "me"},
        1,
        log,
        stats,
        [&](std::size_t number, std::string&) -> Result<upstream::TransactionalClient> {
            return upstream::TransactionalClient{
                .producer = std::make_unique<ScriptedProducer>(kafka.ids[number].upstream),
                .transactions = std::make_unique<ScriptedTransactions>(kafka, number)};
        },
        no_dead_letters(),
        [&](int, std::string_view) {
            ++lines;
        }};
    engine.load({}, {});
    Clock clock{log};
    clock.pass(engine, minutes{1}, false, [&] { kafka.confirm_all(); });
    // The transaction that was open runs out of time, and nobody answers who takes over.
    kafka.answer(upstream::Step::commit, upstream::StepResult::fatal, -144);  // _FENCED
    for (int i = 0; i < 100'000; ++i) {
        kafka.answer(upstream::Step::init, upstream::StepResult::again, -185);  // _TIMED_OUT
    }
    clock.pass(engine, a_day, true, [&] { kafka.confirm_all(); });
    CHECK(log.positions(clock.id).forwarded == Offset{0});
    CHECK(log.positions(clock.id).durable == Offset{readings_a_day});
    CHECK(clock.in_flight_most <= readings_a_minute);
    CHECK(stats.producers.value() <= 3);
    CHECK(lines <= 3);
    CHECK(clock.turns < 20'000);
    kafka.answers.clear();
    clock.pass(engine, minutes{10}, false, [&] { kafka.confirm_all(); });
    CHECK(log.positions(clock.id).forwarded == Offset{readings_a_day});
    CHECK(kafka.committed == expected_values());
}
