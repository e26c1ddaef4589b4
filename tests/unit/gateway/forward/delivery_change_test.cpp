// Processes with either delivery in turn over one log, one Kafka and one meta.db.
#include "gateway/forward/exactly_once_engine.hpp"
#include "gateway/forward/forward_engine.hpp"
#include "tests/support/memory_log.hpp"
#include "tests/support/seeded_random.hpp"
#include "tests/unit/gateway/forward/scripted_transactions.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <chrono>
#include <set>

using namespace milepost;
using namespace milepost::forward;
using milepost::storage::ForwardPosition;
using milepost::test::MemoryLog;
using milepost::test::ScriptedKafka;
using milepost::test::ScriptedProducer;
using milepost::test::ScriptedTransactions;
using milepost::test::ScriptedUpstream;
using milepost::test::SeededRandom;
using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

struct Lives {
    enum class Mode : std::uint8_t { exactly_once, at_least_once };

    static constexpr std::size_t partitions = 2;

    Lives() {
        kafka.add_topic("t", partitions);
        plain.topics["t"] = partitions;
    }

    // A new process; what was given to the one before and not saved is forgotten.
    void begin(Mode mode_now, std::size_t lanes = 1) {
        engine.reset();
        plain.queue.clear();
        mode = mode_now;
        log = std::make_unique<MemoryLog>();
        ids = log->ensure_topic("t", partitions).value();
        for (std::size_t i = 0; i < partitions; ++i)
            if (counts[i] > 0) log->add(ids[i], {.value = prefix(i), .count = counts[i]});
        const auto line = [this](int, std::string_view text) {
            lines.emplace_back(text);
        };
        const DeadLetterWiring no_letters{
            .post = [](const std::function<void()>&) {},
            .enter = [](const storage::Gap&) -> Result<void> {
                return {};
            }};
        if (mode == Mode::at_least_once) {
            engine = std::make_unique<ForwardEngine>(
                settings,
                *log,
                stats,
                [this](std::string&) -> Result<std::unique_ptr<upstream::Producer>> {
                    return std::unique_ptr<upstream::Producer>{
                        std::make_unique<ScriptedProducer>(plain)};
                },
                no_letters,
                line
            );
        } else {
            engine = std::make_unique<ExactlyOnceEngine>(
                settings,
                lanes,
                *log,
                stats,
                [this](std::size_t number, std::string&) -> Result<upstream::TransactionalClient> {
                    return upstream::TransactionalClient{
                        .producer = std::make_unique<ScriptedProducer>(kafka.ids[number].upstream),
                        .transactions = std::make_unique<ScriptedTransactions>(kafka, number)};
                },
                no_letters,
                line
            );
        }
        engine->load(rows, {});
    }

    void add(std::size_t partition, int count) {
        log->add(ids[partition], {.value = prefix(partition), .count = count});
        counts[partition] += count;
    }

    void turn(bool confirms = true) {
        const auto wait = engine->turn(now, Timestamp{1'000'000}).wait;
        now += std::min<Duration>(wait.value_or(Duration::zero()), milliseconds{200});
        if (confirms) {
            kafka.confirm_all();
            plain.confirm_all();
        }
        for (const auto& seen : plain.delivered)
            kafka.committed.push_back(seen.value);
        plain.delivered.clear();
    }

    void save() {
        const auto unsaved = engine->unsaved();
        for (const auto& position : unsaved) {
            std::erase_if(rows, [&](const auto& row) {
                return row.partition == position.partition;
            });
            rows.push_back(position);
        }
        engine->mark_saved(unsaved);
    }

    void stop() {
        for (int i = 0; i < 60; ++i)
            turn();
        save();
        engine->close();
    }

    [[nodiscard]] static std::string prefix(std::size_t partition) {
        return partition == 0 ? "v" : "w";
    }

    // The values of a partition in the order in which Kafka got them.
    [[nodiscard]] std::vector<std::string> arrived(std::size_t partition) const {
        std::vector<std::string> values;
        for (const auto& value : kafka.committed)
            if (value.starts_with(prefix(partition))) values.push_back(value);
        return values;
    }

    [[nodiscard]] std::vector<std::string> added(std::size_t partition) const {
        std::vector<std::string> values;
        for (int i = 0; i < counts[partition]; ++i)
            values.push_back(prefix(partition) + std::to_string(i));
        return values;
    }

    // So many values has Kafka that no row says.
    [[nodiscard]] std::size_t unsaved() const {
        std::size_t count = 0;
        for (std::size_t i = 0; i < partitions; ++i) {
            const auto values = arrived(i);
            count += std::set(values.begin(), values.end()).size();
        }
        for (const auto& row : rows)
            count -= static_cast<std::size_t>(row.forwarded.value());
        return count;
    }

    ForwardSettings settings{.gateway_id = "gw", .instance_id = "me"};
    ForwardStats stats;
    ScriptedKafka kafka;
    ScriptedUpstream plain;
    std::vector<ForwardPosition> rows;  // meta.db
    std::vector<std::string> lines;
    std::vector<int> counts = std::vector<int>(partitions);
    Instant now{seconds{1000}};
    Mode mode = Mode::exactly_once;
    std::unique_ptr<MemoryLog> log;
    std::vector<storage::PartitionId> ids;
    std::unique_ptr<Engine> engine;
};

}  // namespace

TEST_CASE("delivery change: stopped well, nothing is sent twice, whatever follows", "[forward]") {
    using enum Lives::Mode;
    const auto first = GENERATE(exactly_once, at_least_once);
    Lives lives;
    lives.settings.on_missing_position =
        GENERATE(MissingPosition::local, MissingPosition::earliest, MissingPosition::fail);
    std::size_t lanes = 1;
    for (const auto mode : {first, at_least_once, exactly_once, at_least_once, exactly_once}) {
        lives.settings.instance_id += "+";
        lives.begin(mode, lanes);
        lanes = 3 - lanes;
        lives.add(0, 5);
        lives.add(1, 3);
        lives.stop();
    }
    for (std::size_t i = 0; i < Lives::partitions; ++i)
        CHECK(lives.arrived(i) == lives.added(i));
    const std::vector<ForwardPosition> rows{
        {{"t", 0}, Offset{25}, Offset{25}},
        {{"t", 1}, Offset{15}, Offset{15}}};
    std::sort(lives.rows.begin(), lives.rows.end(), [](const auto& a, const auto& b) {
        return a.partition < b.partition;
    });
    CHECK(lives.rows == rows);
}

TEST_CASE(
    "delivery change: killed at any point, only what was not saved comes twice",
    "[forward]"
) {
    const auto seed = GENERATE(range(1U, 300U));
    INFO("seed " << seed);
    SeededRandom random{seed};
    Lives lives;
    std::size_t at_risk = 0;
    bool was_killed = false;
    for (int life = 0; life < 12; ++life) {
        const auto mode = random.chance(1, 2) ? Lives::Mode::exactly_once
                                              : Lives::Mode::at_least_once;
        // Exactly once alone is at no risk at all.
        const bool is_at_risk = mode == Lives::Mode::at_least_once ||
                                lives.mode == Lives::Mode::at_least_once;
        if (was_killed && is_at_risk) at_risk += lives.unsaved();
        lives.settings.instance_id += "+";
        lives.begin(mode, 1 + random.below(2));
        for (auto turns = random.below(40); turns > 0; --turns) {
            if (random.chance(1, 4)) lives.add(random.below(Lives::partitions), 3);
            lives.turn(random.chance(1, 2));
            if (random.chance(1, 5)) lives.save();
        }
        was_killed = random.chance(1, 2);
        if (!was_killed) lives.stop();
    }
    if (was_killed) at_risk += lives.unsaved();
    lives.begin(Lives::Mode::exactly_once);
    lives.stop();
    std::size_t doubled = 0;
    for (std::size_t i = 0; i < Lives::partitions; ++i) {
        const auto arrived = lives.arrived(i);
        const std::set<std::string> once{arrived.begin(), arrived.end()};
        CHECK(once.size() == lives.added(i).size());
        doubled += arrived.size() - once.size();
    }
    CHECK(doubled <= at_risk);
}
