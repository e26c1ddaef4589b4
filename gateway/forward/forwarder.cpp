#include "gateway/forward/forwarder.hpp"

#include "gateway/forward/exactly_once_engine.hpp"
#include "gateway/forward/forward_engine.hpp"
#include "storage/base/this_thread.hpp"
#include "storage/log/dead_letters.hpp"
#include "storage/meta/gap_ledger.hpp"

#include <algorithm>
#include <chrono>
#include <stop_token>
#include <utility>

namespace milepost::forward {

namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// After something was sent the thread lets more come together before it looks again, so that a
// steady stream of small groups does not cost a wake-up each.
constexpr milliseconds gather{5};
// The same where nothing waits for reports: each would end the wait, and make requests of a few
// records. What comes meanwhile is so much later.
constexpr milliseconds turn_rest{20};
constexpr seconds save_interval{1};
constexpr milliseconds show_interval{200};

}  // namespace

Result<std::unique_ptr<Forwarder>> Forwarder::start(
    const ForwardSettings& settings,
    storage::Log& log,
    storage::Connection meta,
    Delivery delivery,
    Writing writing,
    LogLine log_line
) {
    std::unique_ptr<Forwarder> forwarder{new Forwarder{
        settings,
        log,
        std::move(meta),
        std::move(delivery),
        std::move(writing),
        std::move(log_line)}};
    MILEPOST_TRY(forwarder->load());
    log.set_durable_notice([raw = forwarder.get()] { raw->on_durable(); });
    forwarder->thread_ = std::jthread{[raw = forwarder.get()](const std::stop_token& stopping) {
        raw->run(stopping);
    }};
    return forwarder;
}

Result<void> Forwarder::load() {
    const auto stored = storage::PositionStore{meta_}.load(log_.log_id());
    if (!stored) return stored.error();
    auto gaps = storage::GapLedger{meta_, std::string{log_.log_id()}}.list();
    if (!gaps) return gaps.error();
    std::erase_if(*gaps, [](const storage::Gap& gap) {
        return gap.reason != storage::poison_reason;
    });
    engine_->load(stored.value(), gaps.value());
    return {};
}

Result<void> Forwarder::enter_loss(const storage::Gap& gap) {
    storage::GapLedger ledger{meta_, std::string{log_.log_id()}};
    MILEPOST_TRY(ledger.append(gap));
    if (on_loss_) on_loss_(gap);
    return {};
}

Forwarder::Forwarder(
    const ForwardSettings& settings,
    storage::Log& log,
    storage::Connection meta,
    Delivery delivery,
    Writing writing,
    LogLine log_line
)
    : log_(log)
    , meta_(std::move(meta))
    , log_line_(std::move(log_line))
    , on_loss_(std::move(writing.on_loss))
    , engine_(make_engine(
          settings,
          std::move(delivery),
          {.post = std::move(writing.post),
           .enter =
               [this](const storage::Gap& gap) {
                   return enter_loss(gap);
               }}
      )) {}

std::unique_ptr<Engine> Forwarder::make_engine(
    const ForwardSettings& settings,
    Delivery delivery,
    DeadLetterWiring dead_letters
) {
    if (auto* make = std::get_if<MakeProducer>(&delivery)) {
        return std::make_unique<ForwardEngine>(
            settings,
            log_,
            stats_,
            [this, make = std::move(*make)](std::string& problem) { return make(waker_, problem); },
            std::move(dead_letters),
            log_line_
        );
    }
    auto& exactly_once = std::get<ExactlyOnce>(delivery);
    return std::make_unique<ExactlyOnceEngine>(
        settings,
        exactly_once.producers,
        log_,
        stats_,
        [this, make = std::move(exactly_once.make)](std::size_t number, std::string& problem) {
            return make(number, waker_, problem);
        },
        dead_letters,
        log_line_
    );
}

Forwarder::~Forwarder() {
    stop(Duration::zero());
}

void Forwarder::stop(Duration flush_max) {
    if (!thread_.joinable()) return;
    flush_max_ = flush_max.count();
    thread_.request_stop();
    waker_.wake();
    thread_.join();
    log_.set_durable_notice({});
}

void Forwarder::on_durable() {
    if (asleep_.exchange(false)) waker_.wake();
}

ForwardStatus Forwarder::status() const {
    const std::lock_guard lock{status_mutex_};
    return status_;
}

void Forwarder::run(const std::stop_token& stopping) {
    this_thread::step_aside();  // and with it librdkafka's threads, which it begins
    while (!stopping.stop_requested()) {
        const Instant now = monotonic_now();
        const auto turn = engine_->turn(now, wall_now());
        save_positions(monotonic_now(), false);
        show_status(now, turn.sent > 0 ? gather : turn.wait);
        sleep(turn);
    }
    flush();
}

void Forwarder::sleep(const Engine::Turn& turn) {
    if (turn.wait == Duration::zero()) return;
    if (turn.may_rest) {
        std::this_thread::sleep_for(std::min<Duration>(turn.wait.value_or(turn_rest), turn_rest));
        return;
    }
    if (turn.sent > 0) {
        waker_.wait(std::min<Duration>(turn.wait.value_or(gather), gather));
        return;
    }
    auto wait = turn.wait;
    if (save_at_) {
        const Duration left = *save_at_ - monotonic_now();
        wait = wait ? std::min(*wait, left) : left;
    }
    if (turn.gathering) {
        waker_.wait(wait);
        return;
    }
    // Armed first, looked at second: what becomes durable in between wakes.
    asleep_.exchange(true);
    if (!turn.caught_up || !engine_->has_more()) waker_.wait(wait);
    asleep_.exchange(false);
}

// Two thirds of the time go to sending what is left of the log and all of it to confirmations.
void Forwarder::flush() {
    const Instant begin = monotonic_now();
    const Duration flush_max{flush_max_.load()};
    const Instant end = begin + flush_max;
    const Instant stop_reading_at = begin + flush_max * 2 / 3;
    bool reading = true;
    while (true) {
        Instant now = monotonic_now();
        if (reading && now >= stop_reading_at) {
            engine_->stop_reading();
            reading = false;
        }
        const auto turn = engine_->turn(now, wall_now());
        now = monotonic_now();
        save_positions(now, false);
        const bool sent_all = !reading || turn.caught_up;
        if (now >= end || (sent_all && engine_->in_flight() == 0)) break;
        // A turn may have lasted longer than that.
        const Duration until = std::max((reading ? stop_reading_at : end) - now, Duration::zero());
        waker_.wait(std::clamp(turn.wait.value_or(until), Duration::zero(), until));
    }
    save_positions(monotonic_now(), true);
    engine_->close();
    show_status(monotonic_now(), std::nullopt);
}

void Forwarder::save_positions(Instant now, bool at_once) {
    if (!at_once && save_at_ && now < *save_at_) return;
    const auto positions = engine_->unsaved();
    if (positions.empty()) {
        save_at_.reset();
        return;
    }
    if (!at_once && now - saved_at_ < save_interval) {
        save_at_ = saved_at_ + save_interval;
        return;
    }
    const auto saved = storage::PositionStore{meta_}.save(log_.log_id(), positions);
    saved_at_ = now;
    if (saved) {
        engine_->mark_saved(positions);
        save_problem_.clear();
        save_at_.reset();
        return;
    }
    if (save_problem_.empty()) {
        log_line_(level_error, "forward: positions cannot be saved: " + saved.error().message());
    }
    save_problem_ = saved.error().message();
    save_at_ = now + save_interval;
}

std::int64_t Forwarder::backlog() const {
    std::int64_t records = 0;
    for (const auto id : log_.partitions()) {
        if (!log_.config().forwards_topic(log_.name(id).topic)) continue;
        const auto positions = log_.positions(id);
        records += positions.durable - positions.forwarded;
    }
    return records;
}

// `wait`: how long the thread may sleep next; what it shows before a long sleep is up to date.
void Forwarder::show_status(Instant now, std::optional<Duration> wait) {
    if (now - shown_at_ < show_interval && wait && *wait < show_interval) return;
    shown_at_ = now;
    auto status = engine_->status(now, wall_now());
    status.backlog_records = backlog();
    drain_.update(now, status.backlog_records);
    status.drain_seconds = drain_.seconds();
    if (!save_problem_.empty()) {
        status.degraded.push_back("positions cannot be saved: " + save_problem_);
    }
    const std::lock_guard lock{status_mutex_};
    status_ = std::move(status);
}

}  // namespace milepost::forward
