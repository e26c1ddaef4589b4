#include "gateway/forward/exactly_once_engine.hpp"

#include "gateway/forward/position_mark.hpp"
#include "storage/log/dead_letters.hpp"
#include "tests/support/memory_log.hpp"
#include "tests/unit/gateway/forward/scripted_transactions.hpp"

#include <catch2/catch.hpp>

#include <chrono>

using namespace milepost;
using namespace milepost::forward;
using milepost::storage::PartitionId;
using milepost::test::MemoryLog;
using milepost::test::ScriptedKafka;
using milepost::test::ScriptedProducer;
using milepost::test::ScriptedTransactions;
using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;
using upstream::Step;
using upstream::StepResult;

namespace {

struct Bench {
    explicit Bench(std::size_t lane_count = 1)
        : lanes(lane_count) {
        kafka.add_topic("t", 4);
    }

    void start() {
        engine = std::make_unique<ExactlyOnceEngine>(
            settings,
            lanes,
            log,
            stats,
            [this](std::size_t number, std::string&) -> Result<upstream::TransactionalClient> {
                return upstream::TransactionalClient{
                    .producer = std::make_unique<ScriptedProducer>(kafka.ids[number].upstream),
                    .transactions = std::make_unique<ScriptedTransactions>(kafka, number)};
            },
            DeadLetterWiring{
                .post = [](const std::function<void()>& task) { task(); },
                .enter = [this](const storage::Gap& gap) -> Result<void> {
                    ledger.push_back(gap);
                    return {};
                }},
            [this](int, std::string_view line) { lines.emplace_back(line); }
        );
        engine->load(stored, poison);
    }

    Engine::Turn turn(Duration later = Duration::zero()) {
        if (!engine) start();
        now += later;
        return engine->turn(
            now,
            Timestamp{1'000'000} +
                std::chrono::duration_cast<milliseconds>(now.time_since_epoch()).count()
        );
    }

    // So many turns, the upstream confirming what it gets, each after the wait it asks for.
    void run(int turns = 60) {
        for (int i = 0; i < turns; ++i) {
            const auto turned = turn();
            kafka.confirm_all();
            now += std::min<Duration>(turned.wait.value_or(Duration::zero()), milliseconds{200});
        }
    }

    void run_without_reports(int turns = 20) {
        for (int i = 0; i < turns; ++i) {
            now += std::min<Duration>(turn().wait.value_or(Duration::zero()), milliseconds{200});
        }
    }

    [[nodiscard]] Offset forwarded(std::uint32_t id) const {
        return log.positions(PartitionId{id}).forwarded;
    }

    [[nodiscard]] std::string degraded() const {
        std::string all;
        for (const auto& reason : engine->status(now, Timestamp{2'000'000}).degraded) {
            all += reason + "\n";
        }
        return all;
    }

    [[nodiscard]] bool said(std::string_view part) const {
        return std::any_of(lines.begin(), lines.end(), [&](const std::string& line) {
            return line.find(part) != std::string::npos;
        });
    }

    void put(std::int32_t partition, std::int64_t offset, const std::string& metadata) {
        kafka.positions[{"t", partition}] = {
            .topic = "t",
            .partition = partition,
            .offset = offset,
            .metadata = metadata};
    }

    void put_mark(std::int64_t offset, const std::string& log_id, const std::string& instance) {
        put(0, offset, mark_text({log_id, instance, Offset{offset}}));
    }

    ForwardSettings settings{.gateway_id = "gw", .instance_id = "me"};
    std::size_t lanes;
    MemoryLog log;
    ForwardStats stats;
    ScriptedKafka kafka;
    std::vector<storage::ForwardPosition> stored;
    std::vector<storage::Gap> poison;
    std::vector<std::string> lines;
    std::vector<storage::Gap> ledger;
    Instant now{seconds{1000}};
    std::unique_ptr<ExactlyOnceEngine> engine;
};

std::vector<std::string> values(int first, int end) {
    std::vector<std::string> all;
    for (int i = first; i < end; ++i) {
        all.push_back("v" + std::to_string(i));
    }
    return all;
}

}  // namespace

TEST_CASE("exactly_once: forwarded moves when the transaction is committed", "[forward]") {
    Bench bench;
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

TEST_CASE("exactly_once: at the start it goes on where Kafka says", "[forward]") {
    Bench bench;
    bench.log.add(bench.log.ensure_topic("t", 1).value()[0], {.count = 10});
    bench.put_mark(7, "00000000000000aa", "earlier");
    bench.stored = {{{"t", 0}, Offset{4}}};  // the copy is behind
    bench.run();
    CHECK(bench.kafka.committed == values(7, 10));
    CHECK(bench.lines.empty());
}

TEST_CASE("exactly_once: positions that a lost transaction left undecided are read", "[forward]") {
    Bench bench;
    const auto id = bench.log.ensure_topic("t", 1).value()[0];
    bench.log.add(id, {.count = 5});
    bench.put_mark(3, std::string{bench.log.log_id()}, "before");
    bench.kafka.is_undecided = true;
    bench.run();
    CHECK(bench.kafka.committed == values(3, 5));
    CHECK(bench.said("a lost transaction is ended"));
    CHECK(bench.stats.aborted_transactions.value() == 1);
    CHECK(bench.stats.producers.value() == 1);
    CHECK(bench.degraded().empty());
    const auto mark = parse_mark(bench.kafka.positions[{"t", 0}].metadata);
    REQUIRE(mark);
    CHECK(mark->offset == Offset{5});
}

TEST_CASE("exactly_once: a transaction that an unused id lost is ended, too", "[forward]") {
    Bench bench;  // one producer, two before
    const auto id = bench.log.ensure_topic("t", 1).value()[0];
    bench.log.add(id, {.count = 5});
    bench.put_mark(3, std::string{bench.log.log_id()}, "before");
    bench.kafka.is_undecided = true;
    bench.kafka.undecided_id = 1;
    bench.run(200);
    CHECK(bench.kafka.committed == values(3, 5));
    CHECK(bench.kafka.ids[1].taken_over == 2);
    CHECK(bench.degraded().empty());
    const auto steps = bench.kafka.steps.size();
    bench.run();
    CHECK(bench.kafka.steps.size() == steps);
}

TEST_CASE(
    "exactly_once: what was confirmed is not sent again for a lost transaction",
    "[forward]"
) {
    Bench bench;
    const auto id = bench.log.ensure_topic("t", 1).value()[0];
    bench.log.add(id, {.count = 5});
    bench.put_mark(2, std::string{bench.log.log_id()}, "before");
    bench.stored = {{{"t", 0}, Offset{4}}};  // its commit was confirmed, its marker is lost
    bench.kafka.is_undecided = true;
    bench.run();
    CHECK(bench.kafka.committed == values(4, 5));
}

TEST_CASE("exactly_once: a position of another log is never used", "[forward]") {
    Bench bench;
    bench.log.add(bench.log.ensure_topic("t", 1).value()[0], {.count = 10});
    bench.put_mark(7, "00000000000000bb", "earlier");
    bench.run();
    CHECK(bench.kafka.committed == values(0, 10));
    CHECK(bench.said("is of another log (00000000000000bb)"));
}

TEST_CASE("exactly_once: a position that somebody else set raises an alarm", "[forward]") {
    Bench bench;
    bench.log.add(bench.log.ensure_topic("t", 1).value()[0], {.count = 10});
    bench.stored = {{{"t", 0}, Offset{6}}};
    SECTION("without our mark") {
        bench.put(0, 9, "");
    }
    SECTION("moved under our mark") {
        bench.put(0, 9, mark_text({"00000000000000aa", "x", Offset{6}}));
    }
    bench.run();
    CHECK(bench.kafka.committed == values(6, 10));
    CHECK(bench.degraded().find("was set by something else") != std::string::npos);
}

TEST_CASE("exactly_once: a position that Kafka has forgotten", "[forward]") {
    Bench bench;
    bench.log.add(bench.log.ensure_topic("t", 1).value()[0], {.count = 10});
    bench.stored = {{{"t", 0}, Offset{6}}};
    SECTION("local: the copy here counts") {
        bench.run();
        CHECK(bench.kafka.committed == values(6, 10));
        CHECK(bench.said("no position any more for t-0; going on from the copy here"));
    }
    SECTION("earliest: everything again") {
        bench.settings.on_missing_position = MissingPosition::earliest;
        bench.run();
        CHECK(bench.kafka.committed == values(0, 10));
    }
    SECTION("fail: nothing, and an alarm") {
        bench.settings.on_missing_position = MissingPosition::fail;
        bench.run();
        CHECK(bench.kafka.committed.empty());
        CHECK(bench.degraded().find("on_missing_position") != std::string::npos);
    }
}

TEST_CASE("exactly_once: what was given up to make room is passed at once", "[forward]") {
    Bench bench;
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

TEST_CASE("exactly_once: records that were set aside are passed at once", "[forward]") {
    Bench bench;
    const auto id = bench.log.ensure_topic("t", 1).value()[0];
    bench.log.add(id, {.count = 700});
    bench.poison = {
        {.partition = {"t", 0},
         .first = Offset{0},
         .end = Offset{690},
         .reason = std::string{storage::poison_reason},
         .noticed = Timestamp{1}}};
    bench.run();
    CHECK(bench.kafka.committed == values(690, 700));
    CHECK(bench.stats.transactions.value() == 1);
}

TEST_CASE("exactly_once: what at_least_once forwarded is not sent again", "[forward]") {
    Bench bench;
    bench.settings.on_missing_position =
        GENERATE(MissingPosition::local, MissingPosition::earliest, MissingPosition::fail);
    bench.log.add(bench.log.ensure_topic("t", 1).value()[0], {.count = 10});
    const auto said = "at_least_once has forwarded more of t-0";
    SECTION("Kafka has the position that it had") {
        bench.put_mark(2, "00000000000000aa", "earlier");
        bench.stored = {{{"t", 0}, Offset{6}, Offset{2}}};
        bench.run();
        CHECK(bench.kafka.committed == values(6, 10));
        CHECK(bench.said(said));
    }
    SECTION("Kafka has a later one: a crash came before that was noted") {
        bench.put_mark(4, "00000000000000aa", "earlier");
        bench.stored = {{{"t", 0}, Offset{6}, Offset{2}}};
        bench.run();
        CHECK(bench.kafka.committed == values(6, 10));
        CHECK(bench.said(said));
    }
    SECTION("Kafka is further than at_least_once came") {
        bench.put_mark(8, "00000000000000aa", "earlier");
        bench.stored = {{{"t", 0}, Offset{6}, Offset{2}}};
        bench.run();
        CHECK(bench.kafka.committed == values(8, 10));
        CHECK(bench.lines.empty());
    }
    SECTION("Kafka has never had one") {
        bench.stored = {{{"t", 0}, Offset{6}, Offset{0}}};
        bench.run();
        CHECK(bench.kafka.committed == values(6, 10));
        CHECK(bench.said(said));
    }
    SECTION("nothing is new: Kafka has the position all the same") {
        bench.put_mark(2, "00000000000000aa", "earlier");
        bench.stored = {{{"t", 0}, Offset{10}, Offset{2}}};
        bench.run();
        CHECK(bench.kafka.committed.empty());
    }
    CHECK(bench.kafka.positions.at({"t", 0}).offset == 10);
    CHECK(bench.degraded().empty());
    const auto unsaved = bench.engine->unsaved();
    CHECK(unsaved == std::vector<storage::ForwardPosition>{{{"t", 0}, Offset{10}, Offset{10}}});
    bench.engine->mark_saved(unsaved);
    CHECK(bench.engine->unsaved().empty());
}

TEST_CASE("exactly_once: before it is committed the row says what Kafka has", "[forward]") {
    Bench bench;
    bench.log.add(bench.log.ensure_topic("t", 1).value()[0], {.count = 10});
    bench.put_mark(4, "00000000000000aa", "earlier");
    bench.kafka.hangs = Step::commit;
    SECTION("further than was noted") {
        bench.stored = {{{"t", 0}, Offset{6}, Offset{2}}};
        bench.run();
        CHECK(
            bench.engine->unsaved() ==
            std::vector<storage::ForwardPosition>{{{"t", 0}, Offset{6}, Offset{4}}}
        );
    }
    SECTION("set back: that counts from now on") {
        bench.stored = {{{"t", 0}, Offset{6}, Offset{6}}};
        bench.run();
        CHECK(
            bench.engine->unsaved() ==
            std::vector<storage::ForwardPosition>{{{"t", 0}, Offset{4}, Offset{4}}}
        );
    }
    SECTION("not known before") {
        bench.stored = {{{"t", 0}, Offset{4}}};
        bench.run();
        CHECK(
            bench.engine->unsaved() ==
            std::vector<storage::ForwardPosition>{{{"t", 0}, Offset{4}, Offset{4}}}
        );
    }
}

TEST_CASE("exactly_once: a copy that is ahead of Kafka's position", "[forward]") {
    Bench bench;
    bench.log.add(bench.log.ensure_topic("t", 1).value()[0], {.count = 10});
    bench.put_mark(2, "00000000000000aa", "earlier");
    // An older version wrote it; Kafka was set back; both, at_least_once and that.
    const auto in_kafka =
        GENERATE(std::optional<Offset>{}, std::optional{Offset{6}}, std::optional{Offset{3}});
    bench.stored = {{{"t", 0}, Offset{6}, in_kafka}};
    SECTION("Kafka's position counts, for it may have lost what it confirmed") {
        bench.settings.on_missing_position =
            GENERATE(MissingPosition::local, MissingPosition::earliest);
        bench.run();
        CHECK(bench.kafka.committed == values(2, 10));
        CHECK(bench.said("position of t-0 is behind the copy here"));
        CHECK(bench.degraded().empty());
    }
    SECTION("fail: nothing, and an alarm") {
        bench.settings.on_missing_position = MissingPosition::fail;
        bench.run();
        CHECK(bench.kafka.committed.empty());
        CHECK(bench.degraded().find("is behind the copy here") != std::string::npos);
    }
}

TEST_CASE("exactly_once: an aborted transaction is sent again, whole and in order", "[forward]") {
    Bench bench;
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

TEST_CASE("exactly_once: after a lost producer Kafka says what was committed", "[forward]") {
    Bench bench;
    const auto id = bench.log.ensure_topic("t", 1).value()[0];
    bench.run();
    bench.log.add(id, {.count = 5});
    bench.kafka.answer(Step::commit, StepResult::fatal, -144);  // _FENCED: out of time
    SECTION("the commit had happened") {
        bench.kafka.commits_in_secret = true;
    }
    SECTION("it had not") {}
    bench.run(100);
    CHECK(bench.kafka.committed == values(0, 5));
    CHECK(bench.forwarded(0) == Offset{5});
    CHECK(bench.kafka.ids[0].taken_over == 2);
    CHECK(bench.degraded().find("another gateway") == std::string::npos);
}

TEST_CASE("exactly_once: a real second gateway is left alone for a while", "[forward]") {
    Bench bench;
    const auto id = bench.log.ensure_topic("t", 1).value()[0];
    bench.log.add(id, {.count = 5});
    bench.run();
    REQUIRE(bench.forwarded(0) == Offset{5});
    bench.put_mark(90, "00000000000000cc", "other");
    bench.kafka.ids[0].upstream.fatal = "_FENCED";
    bench.log.add(id, {.count = 5});
    bench.run(100);
    CHECK(bench.degraded().find("another gateway forwards as gw") != std::string::npos);
    CHECK(bench.kafka.committed == values(0, 5));
    const int taken_over = bench.kafka.ids[0].taken_over;
    bench.now += seconds{20};
    bench.run(10);
    CHECK(bench.kafka.ids[0].taken_over == taken_over);
    bench.now += minutes{2};
    bench.run();
    CHECK(bench.kafka.committed == values(0, 10));
    CHECK(bench.degraded().find("another gateway forwards as gw") != std::string::npos);
}

TEST_CASE("exactly_once: nothing begins before every old id is taken over", "[forward]") {
    Bench bench;
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
    Bench bench;
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
    bench.log.add(PartitionId{0}, {.count = 10});
    bench.run();
    CHECK(ours.metadata_requests == asked);
    CHECK(bench.forwarded(0) == Offset{20});
}

TEST_CASE(
    "exactly_once: a producer that hangs does not keep the other one's waiting",
    "[forward]"
) {
    Bench bench{2};
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
    Bench bench{2};
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

TEST_CASE("exactly_once: a topic with too few partitions upstream waits, others go", "[forward]") {
    Bench bench;
    bench.kafka.add_topic("narrow", 1);
    const auto narrow = bench.log.ensure_topic("narrow", 2).value()[0];
    const auto id = bench.log.ensure_topic("t", 1).value()[0];
    bench.log.add(narrow, {.value = "n", .count = 2});
    bench.log.add(id, {.count = 2});
    bench.run();
    CHECK(bench.kafka.committed == values(0, 2));
    CHECK(bench.degraded().find("needs as many there") != std::string::npos);
    bench.kafka.add_topic("narrow", 2);
    bench.now += minutes{1};
    bench.run();
    CHECK(bench.kafka.committed.size() == 4);
    CHECK(bench.degraded().find("needs as many there") == std::string::npos);
}

TEST_CASE("exactly_once: a topic that may not be written to is found and waits", "[forward]") {
    Bench bench;
    bench.kafka.add_topic("secret", 1);
    const auto secret = bench.log.ensure_topic("secret", 1).value()[0];
    const auto id = bench.log.ensure_topic("t", 1).value()[0];
    bench.run();
    bench.kafka.forbidden = "secret";
    bench.log.add(secret, {.value = "s", .count = 2});
    bench.log.add(id, {.count = 2});
    bench.run(100);
    CHECK(bench.kafka.committed == values(0, 2));
    CHECK(bench.degraded().find("topic secret: ") != std::string::npos);
    bench.log.add(id, {.count = 2});
    bench.run(100);
    CHECK(bench.kafka.committed == values(0, 4));
    bench.kafka.forbidden.reset();
    bench.now += minutes{1};
    bench.run(100);
    CHECK(bench.kafka.committed.size() == 6);
    CHECK(bench.degraded().find("topic secret") == std::string::npos);
}

TEST_CASE("exactly_once: a refused topic does not make transactions smaller", "[forward]") {
    Bench bench;
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
    Bench bench;
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

TEST_CASE("exactly_once: a position that does not move is committed again daily", "[forward]") {
    Bench bench;
    bench.log.add(bench.log.ensure_topic("t", 1).value()[0], {.count = 5});
    bench.run();
    bench.kafka.positions.clear();
    bench.now += hours{23};
    bench.run();
    CHECK(bench.kafka.positions.empty());
    bench.now += hours{2};
    bench.run();
    CHECK(bench.kafka.positions.at({"t", 0}).offset == 5);
    CHECK(bench.kafka.committed == values(0, 5));
}

TEST_CASE("exactly_once: the position goes first or last, as it is set", "[forward]") {
    Bench bench;
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

TEST_CASE("exactly_once: after 30 s of a hang a new producer takes over", "[forward]") {
    Bench bench;
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
    Bench bench;
    bench.kafka.hangs = Step::init;
    bench.turn();
    bench.turn(seconds{29});
    CHECK(bench.degraded().find("nothing was confirmed for") == std::string::npos);
    bench.turn(seconds{2});
    const auto since = bench.engine->status(bench.now, Timestamp{2'031'000}).no_progress_since;
    CHECK(since == Timestamp{2'000'000});
}

TEST_CASE("exactly_once: what moves, however slowly, is no hang", "[forward]") {
    Bench bench;
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
    Bench bench;
    bench.now += hours{1};
    bench.kafka.hangs = Step::init;
    bench.run(3);
    CHECK(bench.degraded().find("nothing was confirmed") == std::string::npos);
    bench.turn(seconds{31});
    CHECK(bench.degraded().find("nothing was confirmed for") != std::string::npos);
}

TEST_CASE("exactly_once: who is not let in tries with another producer", "[forward]") {
    Bench bench;
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

TEST_CASE("exactly_once: a refused record is set aside, all others arrive once", "[forward]") {
    Bench bench;
    bench.kafka.add_topic("t.dead-letter", 1);
    // As many as upstream, or fewer: then batches mix partitions of the log.
    const std::int32_t partitions = GENERATE(4, 2);
    const auto ids = bench.log.ensure_topic("t", partitions).value();
    bench.log.add(ids[0], {.count = 300});
    bench.log.add(ids[1], {.value = "w", .count = 100});
    bench.kafka.ids[0].upstream.poison = {"v41"};
    bench.run(600);
    CHECK(bench.forwarded(0) == Offset{300});
    CHECK(bench.forwarded(1) == Offset{100});
    CHECK(bench.kafka.ids[0].taken_over == 1);
    REQUIRE(bench.ledger.size() == 1);
    CHECK(bench.ledger[0].first == Offset{41});
    CHECK(std::count(bench.kafka.committed.begin(), bench.kafka.committed.end(), "v41") == 1);
    // Each once, in its order: the refused one as a dead letter.
    std::vector<std::string> of_partition;
    for (const auto& value : bench.kafka.committed) {
        if (value.starts_with("v") && value != "v41") of_partition.push_back(value);
    }
    auto expected = values(0, 300);
    std::erase(expected, "v41");
    CHECK(of_partition == expected);
}

TEST_CASE("exactly_once: a refused record at the end moves the position too", "[forward]") {
    Bench bench;
    bench.kafka.add_topic("t.dead-letter", 1);
    const auto id = bench.log.ensure_topic("t", 1).value()[0];
    bench.log.add(id, {.count = 2});
    bench.kafka.ids[0].upstream.poison = {"v1"};
    bench.run(200);
    CHECK(bench.forwarded(0) == Offset{2});
    CHECK(bench.kafka.positions.at({"t", 0}).offset == 2);
    CHECK(bench.kafka.committed == values(0, 2));  // v1 as a dead letter
    CHECK(bench.forwarded(1) == Offset{1});
}

TEST_CASE("exactly_once: a full log drains although its front record is refused", "[forward]") {
    Bench bench;
    bench.kafka.add_topic("t.dead-letter", 1);
    const auto id = bench.log.ensure_topic("t", 1).value()[0];
    bench.log.add(id, {.count = 20});
    bench.log.set_intake(storage::IntakeState::disk_reserve);
    bench.kafka.ids[0].upstream.poison = {"v0"};
    bench.run(400);
    CHECK(bench.forwarded(0) == Offset{20});
    CHECK(bench.forwarded(1) == Offset{1});
    CHECK(bench.ledger.size() == 1);
    CHECK(bench.kafka.committed.size() == 20);
}

TEST_CASE("exactly_once: a transaction carries more of the topics that matter", "[forward]") {
    Bench bench;
    bench.settings.priorities = {{"t", Priority::low}, {"urgent", Priority::high}};
    bench.kafka.add_topic("urgent", 4);
    const auto low = bench.log.ensure_topic("t", 1).value()[0];
    const auto high = bench.log.ensure_topic("urgent", 4).value();
    bench.log.add(low, {.count = 5000});
    for (const auto id : high)
        bench.log.add(id, {.value = "u", .count = 5000});
    bench.kafka.hangs = Step::commit;
    bench.run();
    const auto positions = bench.kafka.ids[0].open;
    const auto of_low = positions.at({"t", 0}).offset;
    CHECK(of_low > 0);
    std::int64_t of_high = 0;
    for (std::int32_t partition = 0; partition < 4; ++partition)
        of_high += positions.at({"urgent", partition}).offset;
    CHECK(static_cast<double>(of_high) / static_cast<double>(of_low) == Approx(16).margin(1));
    bench.kafka.hangs.reset();
    bench.run(400);
    CHECK(bench.kafka.committed.size() == 25'000);
}

TEST_CASE("exactly_once: without a broker the positions go first", "[forward]") {
    Bench bench;  // position_first = auto
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

TEST_CASE("exactly_once: who ran out of time tries again at once, each time", "[forward]") {
    Bench bench;
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

TEST_CASE("exactly_once: a rate holds from transaction to transaction", "[forward]") {
    Bench bench;
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
    Bench bench;  // position_first = auto
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
    Bench bench;  // position_first = auto
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
