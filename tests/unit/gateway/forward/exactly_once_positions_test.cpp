// Where it goes on: what Kafka says, and what that is worth.
#include "gateway/forward/position_mark.hpp"
#include "tests/unit/gateway/forward/exactly_once_bench.hpp"

#include <catch2/catch.hpp>

#include <chrono>
#include <optional>
#include <string>
#include <vector>

using namespace milepost;
using namespace milepost::forward;
using milepost::test::ExactlyOnceBench;
using milepost::test::values;
using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;
using upstream::Step;
using upstream::StepResult;

TEST_CASE("exactly_once: at the start it goes on where Kafka says", "[forward]") {
    ExactlyOnceBench bench;
    bench.log.add(bench.log.ensure_topic("t", 1).value()[0], {.count = 10});
    bench.put_mark(7, "00000000000000aa", "earlier");
    bench.stored = {{{"t", 0}, Offset{4}}};  // the copy is behind
    bench.run();
    CHECK(bench.kafka.committed == values(7, 10));
    CHECK(bench.lines.empty());
}

TEST_CASE("exactly_once: positions that a lost transaction left undecided are read", "[forward]") {
    ExactlyOnceBench bench;
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
    ExactlyOnceBench bench;  // one producer, two before
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
    ExactlyOnceBench bench;
    const auto id = bench.log.ensure_topic("t", 1).value()[0];
    bench.log.add(id, {.count = 5});
    bench.put_mark(2, std::string{bench.log.log_id()}, "before");
    bench.stored = {{{"t", 0}, Offset{4}}};  // its commit was confirmed, its marker is lost
    bench.kafka.is_undecided = true;
    bench.run();
    CHECK(bench.kafka.committed == values(4, 5));
}

TEST_CASE("exactly_once: a position of another log is never used", "[forward]") {
    ExactlyOnceBench bench;
    bench.log.add(bench.log.ensure_topic("t", 1).value()[0], {.count = 10});
    bench.put_mark(7, "00000000000000bb", "earlier");
    bench.run();
    CHECK(bench.kafka.committed == values(0, 10));
    CHECK(bench.said("is of another log (00000000000000bb)"));
}

TEST_CASE("exactly_once: a position that somebody else set raises an alarm", "[forward]") {
    ExactlyOnceBench bench;
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
    ExactlyOnceBench bench;
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

TEST_CASE("exactly_once: what at_least_once forwarded is not sent again", "[forward]") {
    ExactlyOnceBench bench;
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
    ExactlyOnceBench bench;
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
    ExactlyOnceBench bench;
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

TEST_CASE("exactly_once: after a lost producer Kafka says what was committed", "[forward]") {
    ExactlyOnceBench bench;
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
    ExactlyOnceBench bench;
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

TEST_CASE("exactly_once: a position that does not move is committed again daily", "[forward]") {
    ExactlyOnceBench bench;
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
