#include "tests/unit/gateway/forward/exactly_once_bench.hpp"

#include "gateway/forward/position_mark.hpp"

#include <algorithm>
#include <functional>

namespace milepost::test {

using std::chrono::milliseconds;

ExactlyOnceBench::ExactlyOnceBench(std::size_t lane_count)
    : lanes(lane_count) {
    kafka.add_topic("t", 4);
}

void ExactlyOnceBench::start() {
    engine = std::make_unique<forward::ExactlyOnceEngine>(
        settings,
        lanes,
        log,
        stats,
        [this](std::size_t number, std::string&) -> Result<upstream::TransactionalClient> {
            return upstream::TransactionalClient{
                .producer = std::make_unique<ScriptedProducer>(kafka.ids[number].upstream),
                .transactions = std::make_unique<ScriptedTransactions>(kafka, number)};
        },
        forward::DeadLetterWiring{
            .post = [](const std::function<void()>& task) { task(); },
            .enter = [this](const storage::Gap& gap) -> Result<void> {
                ledger.push_back(gap);
                return {};
            }},
        [this](int, std::string_view line) { lines.emplace_back(line); }
    );
    engine->load(stored, poison);
}

forward::Engine::Turn ExactlyOnceBench::turn(Duration later) {
    if (!engine) start();
    now += later;
    return engine->turn(
        now,
        Timestamp{1'000'000} +
            std::chrono::duration_cast<milliseconds>(now.time_since_epoch()).count()
    );
}

void ExactlyOnceBench::run(int turns) {
    for (int i = 0; i < turns; ++i) {
        const auto turned = turn();
        kafka.confirm_all();
        now += std::min<Duration>(turned.wait.value_or(Duration::zero()), milliseconds{200});
    }
}

void ExactlyOnceBench::run_without_reports(int turns) {
    for (int i = 0; i < turns; ++i) {
        now += std::min<Duration>(turn().wait.value_or(Duration::zero()), milliseconds{200});
    }
}

storage::Offset ExactlyOnceBench::forwarded(std::uint32_t id) const {
    return log.positions(storage::PartitionId{id}).forwarded;
}

std::string ExactlyOnceBench::degraded() const {
    std::string all;
    for (const auto& reason : engine->status(now, Timestamp{2'000'000}).degraded) {
        all += reason + "\n";
    }
    return all;
}

bool ExactlyOnceBench::said(std::string_view part) const {
    return std::any_of(lines.begin(), lines.end(), [&](const std::string& line) {
        return line.find(part) != std::string::npos;
    });
}

void ExactlyOnceBench::put(
    std::int32_t partition,
    std::int64_t offset,
    const std::string& metadata
) {
    kafka.positions[{"t", partition}] = {
        .topic = "t",
        .partition = partition,
        .offset = offset,
        .metadata = metadata};
}

void ExactlyOnceBench::put_mark(
    std::int64_t offset,
    const std::string& log_id,
    const std::string& instance
) {
    put(0, offset, forward::mark_text({log_id, instance, storage::Offset{offset}}));
}

std::vector<std::string> values(int first, int end) {
    std::vector<std::string> all;
    for (int i = first; i < end; ++i) {
        all.push_back("v" + std::to_string(i));
    }
    return all;
}

}  // namespace milepost::test
