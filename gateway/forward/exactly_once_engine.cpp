#include "gateway/forward/exactly_once_engine.hpp"

#include "storage/base/check.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

namespace milepost::forward {

namespace {

constexpr std::chrono::milliseconds take_over_first{100};
constexpr std::chrono::seconds take_over_most{10};
// What comes for a lane that has nothing to do waits so long while another one gathers or hangs.
constexpr std::chrono::milliseconds neighbour_wait{20};

// Nobody listens to a producer that only takes an id over.
class Deaf final : public upstream::ProducerListener {
public:
    void on_reports(std::span<const upstream::DeliveryReport>) override {}

    void on_error(const ErrorCode&, std::string_view) override {}

    void on_brokers(std::uint32_t) override {}

    void on_log(int, std::string_view) override {}
};

}  // namespace

ExactlyOnceEngine::ExactlyOnceEngine(
    const ForwardSettings& settings,
    std::size_t lanes,
    storage::Log& log,
    ForwardStats& stats,
    TransactionalFactory factory,
    const DeadLetterWiring& dead_letters,
    const LogLine& log_line
)
    : factory_(std::move(factory))
    , log_line_(log_line)
    , old_ids_backoff_(take_over_first, take_over_most, settings.seed) {
    MILEPOST_CHECK(lanes >= 1 && lanes <= lanes_max);
    for (std::size_t i = 0; i < lanes; ++i) {
        const LanePlace place{.index = i, .count = lanes};
        lanes_.push_back(
            std::make_unique<Lane>(settings, place, log, stats, factory_, dead_letters, log_line)
        );
    }
    for (std::size_t i = lanes; i < lanes_max; ++i) {
        old_ids_.push_back({.number = i, .wait = IdWait{settings.seed + i}});
    }
}

void ExactlyOnceEngine::load(
    std::span<const storage::ForwardPosition> positions,
    std::span<const storage::Gap> poison
) {
    for (const auto& lane : lanes_) {
        lane->load(positions, poison);
    }
}

bool ExactlyOnceEngine::all_taken_over() const {
    const auto has_taken_over = [](const auto& lane) {
        return lane->has_taken_over();
    };
    const auto is_done = [](const OldId& id) {
        return id.is_done;
    };
    return std::all_of(old_ids_.begin(), old_ids_.end(), is_done) &&
           std::all_of(lanes_.begin(), lanes_.end(), has_taken_over);
}

bool ExactlyOnceEngine::has_met_broker() const {
    return std::any_of(lanes_.begin(), lanes_.end(), [](const auto& lane) {
        return lane->has_met_broker();
    });
}

// A producer that is made while no broker is there connects late when one comes: so that is left
// to the lanes.
void ExactlyOnceEngine::take_over(OldId& id, Instant now) {
    if (!is_wanted(id)) return;
    if (!id.client) {
        if (now < id.next_at || !has_met_broker()) return;
        auto made = factory_(id.number, old_ids_problem_);
        if (!made) {
            id.next_at = now + old_ids_backoff_.next();
            return;
        }
        id.client = std::move(made).value();
        id.client->transactions->start(upstream::Step::init, {});
        const auto topic = lanes_.front()->some_topic();
        if (topic && id.client->producer->open_topic(*topic)) id.wait.begin(now);
        return;
    }
    Deaf nobody;
    id.client->producer->serve(nobody);
    const auto done = id.client->transactions->take_done();
    if (!done) {
        id.wait.turn(*id.client->producer, now);
        return;
    }
    go_on(id, *done, now);
}

void ExactlyOnceEngine::go_on(OldId& id, const upstream::StepDone& done, Instant now) {
    id.wait.end();
    if (done.result != upstream::StepResult::done) return let_go(id, now, done.text);
    switch (done.step) {
        case upstream::Step::init: {
            id.is_done = true;
            auto positions = undecided_positions();
            if (positions.empty()) id.ends = asked_for_ends();  // they could be read meanwhile
            if (id.ends == asked_for_ends()) break;
            if (const auto error = id.client->transactions->begin()) {
                return let_go(id, now, "beginning a transaction: " + error.message());
            }
            return id.client->transactions->start(
                upstream::Step::send_positions,
                std::move(positions)
            );
        }
        case upstream::Step::send_positions:
            return id.client->transactions->start(upstream::Step::abort, {});
        case upstream::Step::abort:
            id.ends = asked_for_ends();
            log_line_(
                level_notice,
                "forward: a lost transaction of a producer that is not used any more is ended, if "
                "there was one"
            );
            break;
        case upstream::Step::read_positions:
        case upstream::Step::commit: break;  // never asked for
    }
    let_go(id, now, {});
}

void ExactlyOnceEngine::let_go(OldId& id, Instant now, std::string problem) {
    id.client.reset();
    old_ids_problem_ = std::move(problem);
    id.next_at = now + old_ids_backoff_.next();
}

// A lane could not read its positions for long and has ended what its own id may have lost.
int ExactlyOnceEngine::asked_for_ends() const {
    int asked = 0;
    for (const auto& lane : lanes_)
        asked += lane->asked_for_ends();
    return asked;
}

std::vector<upstream::GroupPosition> ExactlyOnceEngine::undecided_positions() const {
    std::vector<upstream::GroupPosition> positions;
    for (const auto& lane : lanes_) {
        const auto some = lane->clearing_positions();
        positions.insert(positions.end(), some.begin(), some.end());
    }
    return positions;
}

bool ExactlyOnceEngine::is_wanted(const OldId& id) const {
    return !id.is_done || id.client || id.ends != asked_for_ends();
}

// nullopt: only when woken.
std::optional<Duration> ExactlyOnceEngine::wait_for_old_ids(Instant now) const {
    std::optional<Duration> shortest;
    for (const auto& id : old_ids_) {
        if (!is_wanted(id) || (!id.client && !has_met_broker())) continue;
        Duration wait = take_over_most;
        if (!id.client) wait = id.next_at - now;
        if (id.client && id.wait.is_waiting()) wait = id.wait.wait(now);
        shortest = std::max(std::min(shortest.value_or(wait), wait), Duration::zero());
    }
    return shortest;
}

Engine::Turn ExactlyOnceEngine::turn(Instant now, Timestamp wall) {
    Turn all;
    const auto at_most = [&](Duration wait) {
        all.wait = all.wait ? std::min(*all.wait, wait) : wait;
    };
    for (auto& id : old_ids_)
        take_over(id, now);
    bool is_one_free = false;
    for (const auto& lane : lanes_) {
        const bool could_begin = may_begin_;
        may_begin_ = may_begin_ || all_taken_over();
        const auto turn = lane->turn(now, wall, may_begin_);
        if (!could_begin && may_begin_) at_most(Duration::zero());
        if (turn.wait) at_most(*turn.wait);
        all.sent += turn.sent;
        all.caught_up = all.caught_up && turn.caught_up;
        all.gathering = all.gathering || turn.gathering;
        is_one_free = is_one_free || !turn.gathering;
    }
    if (all.gathering && is_one_free) at_most(neighbour_wait);
    if (!may_begin_ && all_taken_over()) at_most(Duration::zero());
    if (const auto wait = wait_for_old_ids(now)) at_most(*wait);
    return all;
}

void ExactlyOnceEngine::stop_reading() {
    for (const auto& lane : lanes_) {
        lane->stop_reading();
    }
}

void ExactlyOnceEngine::close() {
    old_ids_.clear();
    for (const auto& lane : lanes_) {
        lane->close();
    }
}

bool ExactlyOnceEngine::has_more() {
    return std::any_of(lanes_.begin(), lanes_.end(), [](const auto& lane) {
        return lane->has_more();
    });
}

std::uint64_t ExactlyOnceEngine::in_flight() const {
    std::uint64_t records = 0;
    for (const auto& lane : lanes_) {
        records += lane->in_flight();
    }
    return records;
}

std::vector<storage::ForwardPosition> ExactlyOnceEngine::unsaved() const {
    std::vector<storage::ForwardPosition> positions;
    for (const auto& lane : lanes_) {
        const auto some = lane->unsaved();
        positions.insert(positions.end(), some.begin(), some.end());
    }
    return positions;
}

void ExactlyOnceEngine::mark_saved(std::span<const storage::ForwardPosition> positions) {
    for (const auto& lane : lanes_) {
        lane->mark_saved(positions);
    }
}

ForwardStatus ExactlyOnceEngine::status(Instant now, Timestamp wall) const {
    ForwardStatus status;
    for (const auto& lane : lanes_) {
        lane->describe(status, now, wall);
    }
    if (!old_ids_problem_.empty()) {
        status.degraded.push_back("producer: " + old_ids_problem_);
    }
    add_no_broker(status);
    return status;
}

}  // namespace milepost::forward
