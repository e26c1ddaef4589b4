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

struct EngineBench {
    explicit EngineBench(ForwardSettings settings = {.gateway_id = "gw"})
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
              {.post = [this](const std::function<void()>& task) { tasks.push_back(task); },
               .enter = [this](const storage::Gap& gap) -> Result<void> {
                   if (ledger_fails) return ErrorCode{5, boost::system::generic_category()};
                   ledger.push_back(gap);
                   return {};
               }},
              [this](int, std::string_view line) { lines.emplace_back(line); }
          ) {}

    // So many turns, the upstream answering and the log's owner doing what it is asked to.
    void live(int turns = 200) {
        for (int i = 0; i < turns; ++i) {
            turn(milliseconds{200});
            upstream.confirm_all();
            run_tasks();
        }
    }

    void run_tasks() {
        for (const auto& task : std::exchange(tasks, {}))
            task();
    }

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
    std::vector<std::function<void()>> tasks;
    std::vector<storage::Gap> ledger;
    bool ledger_fails = false;
    Instant now{seconds{1000}};
    ForwardEngine engine;
};

}  // namespace

TEST_CASE(
    "forward_engine: forwarded moves only over what was confirmed without a gap",
    "[forward]"
) {
    EngineBench bench;
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
    EngineBench bench;
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
    EngineBench bench;
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
    EngineBench bench;
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

TEST_CASE("forward_engine: the brokers are asked until a producer gets on", "[forward]") {
    EngineBench bench;
    bench.upstream.topics["t"] = 2;
    const auto id = bench.log.ensure_topic("t", 2).value()[0];
    bench.log.add(id, {.count = 10});
    bench.run();
    const int first = bench.upstream.metadata_requests;
    const auto wait = bench.turn().wait;
    REQUIRE(wait);
    CHECK(*wait <= milliseconds{50});
    for (int i = 0; i < 10; ++i)
        bench.turn(milliseconds{20});
    CHECK(bench.upstream.metadata_requests >= first + 2);
    bench.upstream.confirm_all();
    bench.turn();
    const int asked = bench.upstream.metadata_requests;
    bench.log.add(id, {.count = 10});
    for (int i = 0; i < 10; ++i)
        bench.turn(milliseconds{500});
    CHECK(bench.upstream.metadata_requests == asked);
}

TEST_CASE("forward_engine: it rests when all is sent, not while a share is used up", "[forward]") {
    const bool is_small = GENERATE(false, true);
    EngineBench bench{{.gateway_id = "gw", .queue_messages = is_small ? 10U : 100'000U}};
    bench.upstream.topics["t"] = 1;
    const auto id = bench.log.ensure_topic("t", 1).value()[0];
    for (int i = 0; i < 100; ++i)
        bench.log.add(id, {.value = std::string(200, 'v'), .count = 50});
    bench.upstream.queue_messages = 10'000;
    auto turn = bench.turn();
    while (turn.sent == 0)
        turn = bench.turn();
    CHECK(turn.may_rest == !is_small);
    CHECK((bench.upstream.queue.size() < 5000) == is_small);
    CHECK_FALSE(bench.turn().may_rest);
}

TEST_CASE("forward_engine: makes a missing topic where it may", "[forward]") {
    EngineBench bench{{.gateway_id = "gw", .create_topics = true}};
    const auto id = bench.log.ensure_topic("t", 4).value()[2];
    bench.log.add(id, {.count = 1});
    bench.run();
    CHECK(bench.upstream.created == std::vector<std::string>{"t"});
    bench.turn(seconds{1});
    REQUIRE(bench.upstream.queue.size() == 1);
    CHECK(bench.upstream.queue[0].partition == 2);
}

TEST_CASE("forward_engine: a record that fails is sent again with what is behind it", "[forward]") {
    EngineBench bench;
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

TEST_CASE("forward_engine: who is not let in tries with another producer", "[forward]") {
    EngineBench bench;
    const auto id = bench.log.ensure_topic("t", 1).value()[0];
    bench.upstream.topics["t"] = 1;
    bench.log.add(id, {.count = 3});
    bench.upstream.login_refused = "certificate expired";
    for (int i = 0; i < 100; ++i)
        bench.turn(milliseconds{100});
    CHECK(bench.upstream.producers >= 2);
    CHECK(bench.upstream.producers <= 6);
    CHECK(bench.status().degraded.at(0).find("certificate expired") != std::string::npos);
    bench.upstream.login_refused.clear();
    bench.live();
    CHECK(bench.forwarded(0) == Offset{3});
    CHECK(bench.status().degraded.empty());
}

TEST_CASE(
    "forward_engine: after a fatal error a new producer goes on behind the last confirmed",
    "[forward]"
) {
    EngineBench bench;
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
    EngineBench bench;
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
    EngineBench bench;
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
    EngineBench bench;
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

namespace {

std::vector<std::string> values_of(const ScriptedUpstream& upstream, std::string_view topic) {
    std::vector<std::string> values;
    for (const auto& seen : upstream.delivered) {
        if (seen.topic == topic) values.push_back(seen.value);
    }
    return values;
}

}  // namespace

TEST_CASE(
    "forward_engine: a record that Kafka refuses goes to the dead letters, all others arrive",
    "[forward]"
) {
    EngineBench bench;
    bench.upstream.is_gapless = true;
    bench.upstream.topics = {{"t", 1}, {"t.dead-letter", 1}, {"other", 1}};
    const auto id = bench.log.ensure_topic("t", 1).value()[0];
    const auto other = bench.log.ensure_topic("other", 1).value()[0];
    bench.log.add(id, {.count = 500, .timestamp = Timestamp{77}});
    bench.log.add(other, {.value = "o", .count = 50});
    bench.upstream.poison = {"v123"};
    bench.live();
    CHECK(bench.forwarded(0) == Offset{500});
    CHECK(bench.forwarded(1) == Offset{50});
    std::vector<std::string> expected;
    for (int i = 0; i < 500; ++i) {
        if (i != 123) expected.push_back("v" + std::to_string(i));
    }
    CHECK(values_of(bench.upstream, "t") == expected);
    // What the upstream has refused with "other"'s records on their way may be sent again.
    CHECK(values_of(bench.upstream, "other").size() >= 50);

    REQUIRE(bench.ledger.size() == 1);
    CHECK(bench.ledger[0].partition == storage::TopicPartition{"t", 0});
    CHECK(bench.ledger[0].first == Offset{123});
    CHECK(bench.ledger[0].end == Offset{124});
    CHECK(bench.ledger[0].reason == "poison");
    CHECK(bench.ledger[0].first_time == Timestamp{77});

    CHECK(bench.forwarded(2) == Offset{1});  // a dead letter goes its way like any record
    const auto letter = std::find_if(
        bench.upstream.delivered.begin(),
        bench.upstream.delivered.end(),
        [](const auto& seen) { return seen.topic == "t.dead-letter"; }
    );
    REQUIRE(letter != bench.upstream.delivered.end());
    CHECK(letter->value == "v123");
    CHECK(letter->key == "k");
    using Headers = std::vector<std::pair<std::string, std::string>>;
    CHECK(
        letter->headers ==
        Headers{
            {"content-type", "text/plain"},
            {"mp.dead.reason", "Broker: Message size too large"},
            {"mp.dead.topic", "t"},
            {"mp.dead.partition", "0"},
            {"mp.dead.offset", "123"},
            {"mp.dead.timestamp", "77"},
            {"mp.id", "gw/00000000000000aa/t.dead-letter-0/0"}}
    );
    CHECK(bench.status().degraded.empty());
}

TEST_CASE("forward_engine: every record refused: all are set aside, in order", "[forward]") {
    EngineBench bench;
    bench.upstream.is_gapless = true;
    bench.upstream.topics = {{"t", 1}, {"t.dead-letter", 1}};
    const auto id = bench.log.ensure_topic("t", 1).value()[0];
    bench.log.add(id, {.count = 10});
    for (int i = 0; i < 10; ++i)
        bench.upstream.poison.insert("v" + std::to_string(i));
    bench.live();
    CHECK(bench.forwarded(0) == Offset{10});
    CHECK(bench.ledger.size() == 10);
    const auto letters = values_of(bench.upstream, "t.dead-letter");
    CHECK(letters.size() == 10);
    CHECK(std::is_sorted(letters.begin(), letters.end()));
    CHECK(values_of(bench.upstream, "t").empty());
}

TEST_CASE("forward_engine: nothing passes a refused record before it is set aside", "[forward]") {
    EngineBench bench;
    bench.upstream.is_gapless = true;
    bench.upstream.topics = {{"t", 1}, {"t.dead-letter", 1}, {"other", 1}};
    const auto id = bench.log.ensure_topic("t", 1).value()[0];
    const auto other = bench.log.ensure_topic("other", 1).value()[0];
    bench.log.add(id, {.count = 3});
    bench.upstream.poison = {"v1"};
    SECTION("the dead letter is not durable") {
        bench.log.set_syncs(false);
    }
    SECTION("the gap ledger cannot be written") {
        bench.ledger_fails = true;
    }
    bench.live();
    bench.log.add(other, {});
    bench.live();
    CHECK(bench.forwarded(0) == Offset{1});
    CHECK(bench.forwarded(1) == Offset{1});  // another topic goes on meanwhile
    CHECK(bench.ledger.empty());
    if (bench.ledger_fails) {
        REQUIRE_FALSE(bench.status().degraded.empty());
        CHECK(bench.status().degraded.back().find("gap ledger") != std::string::npos);
    }
    bench.ledger_fails = false;
    bench.log.set_syncs(true);
    bench.log.commit();
    bench.live();
    CHECK(bench.forwarded(0) == Offset{3});
    CHECK(bench.ledger.size() == 1);
    CHECK(values_of(bench.upstream, "t") == std::vector<std::string>{"v0", "v2"});
    CHECK(values_of(bench.upstream, "t.dead-letter") == std::vector<std::string>{"v1"});
}

TEST_CASE("forward_engine: what an earlier process set aside is not sent again", "[forward]") {
    EngineBench bench;
    bench.upstream.topics = {{"t", 1}};
    const auto id = bench.log.ensure_topic("t", 1).value()[0];
    bench.log.add(id, {.count = 6});
    const std::vector<storage::Gap> poison{
        {.partition = {"t", 0},
         .first = Offset{3},
         .end = Offset{4},
         .reason = "poison",
         .noticed = {}},
        {.partition = {"t", 0},
         .first = Offset{0},
         .end = Offset{2},
         .reason = "poison",
         .noticed = {}}};
    bench.engine.load({}, poison);
    bench.live(5);
    CHECK(values_of(bench.upstream, "t") == std::vector<std::string>{"v2", "v4", "v5"});
    CHECK(bench.forwarded(0) == Offset{6});
}

TEST_CASE("forward_engine: a refused dead letter is cut, and then its topic waits", "[forward]") {
    EngineBench bench;
    bench.upstream.is_gapless = true;
    bench.upstream.topics = {{"t", 1}, {"t.dead-letter", 1}};
    const auto id = bench.log.ensure_topic("t", 1).value()[0];
    const std::string large(10'000, 'x');
    bench.log.add(id, {.value = large});
    const std::string whole = large + "0";
    const std::string part = whole.substr(0, 4096);
    SECTION("the cut one is taken") {
        bench.upstream.poison = {whole};
        bench.upstream.poison_letters = {whole};
        bench.live();
        CHECK(values_of(bench.upstream, "t.dead-letter") == std::vector<std::string>{part});
        const auto& headers = bench.upstream.delivered.back().headers;
        CHECK(std::count(
            headers.begin(),
            headers.end(),
            std::pair<std::string, std::string>{"mp.dead.value-bytes", "10001"}
        ));
        CHECK(std::count(
            headers.begin(),
            headers.end(),
            std::pair<std::string, std::string>{"mp.dead.topic", "t"}
        ));
        CHECK(bench.forwarded(1) == Offset{2});
        CHECK(bench.ledger.size() == 2);
        CHECK(bench.status().degraded.empty());
    }
    SECTION("the cut one is refused as well") {
        bench.upstream.poison = {whole};
        bench.upstream.poison_letters = {whole, part};
        bench.live();
        CHECK(bench.forwarded(0) == Offset{1});
        CHECK(bench.forwarded(1) == Offset{1});
        REQUIRE_FALSE(bench.status().degraded.empty());
        CHECK(bench.status().degraded.back().find("was cut already") != std::string::npos);
        CHECK(bench.ledger.size() == 2);
    }
}

TEST_CASE("forward_engine: a timestamp that is refused now is the clock's fault", "[forward]") {
    EngineBench bench;
    bench.upstream.topics = {{"t", 1}, {"t.dead-letter", 1}};
    const auto id = bench.log.ensure_topic("t", 1).value()[0];
    const auto wall = Timestamp{1'000'000} + 1'000'000;
    const bool is_recent = GENERATE(true, false);
    bench.log.add(id, {.timestamp = is_recent ? wall : wall + 86'400'000});
    bench.turn();
    bench.upstream.fail_all(upstream::Fault::record, 32);  // INVALID_TIMESTAMP
    bench.live(1);
    if (is_recent) CHECK(bench.status().degraded.back().find("clock right") != std::string::npos);
    bench.live();
    CHECK(bench.ledger.size() == (is_recent ? 0 : 1));
    CHECK(bench.forwarded(0) == Offset{1});
}
