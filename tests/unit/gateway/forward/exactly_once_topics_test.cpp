// Topics and records that Kafka refuses or that share a transaction.
#include "storage/log/dead_letters.hpp"
#include "tests/unit/gateway/forward/exactly_once_bench.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <chrono>
#include <string>
#include <vector>

using namespace milepost;
using namespace milepost::forward;
using milepost::test::ExactlyOnceBench;
using milepost::test::values;
using std::chrono::minutes;
using upstream::Step;

TEST_CASE("exactly_once: records that were set aside are passed at once", "[forward]") {
    ExactlyOnceBench bench;
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

TEST_CASE("exactly_once: a topic with too few partitions upstream waits, others go", "[forward]") {
    ExactlyOnceBench bench;
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
    ExactlyOnceBench bench;
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

TEST_CASE("exactly_once: a refused record is set aside, all others arrive once", "[forward]") {
    ExactlyOnceBench bench;
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
    ExactlyOnceBench bench;
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
    ExactlyOnceBench bench;
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
    ExactlyOnceBench bench;
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
