#include "gateway/forward/lane.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

namespace milepost::forward {

namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using upstream::Step;
using upstream::StepResult;

constexpr milliseconds abort_retry_first{50};
constexpr seconds abort_retry_most{10};
constexpr seconds contest_first{60};
constexpr std::chrono::minutes contest_most{15};
constexpr std::chrono::hours alarm_shown{1};

Rates part_of(const Rates& rates, std::size_t parts) {
    const auto part = [&](std::uint64_t rate) {
        return rate == 0 ? rate : std::max<std::uint64_t>(rate / parts, 1);
    };
    return {part(rates.bytes_per_s), part(rates.records_per_s)};
}

}  // namespace

Lane::Lane(
    const ForwardSettings& settings,
    LanePlace place,
    storage::Log& log,
    ForwardStats& stats,
    TransactionalFactory factory,
    const DeadLetterWiring& dead_letters,
    const LogLine& log_line
)
    : UpstreamNews(stats, log_line)
    , settings_(settings)
    , log_(log)
    , number_(place.index)
    , factory_(std::move(factory))
    , table_(
          settings.gateway_id + "/" + std::string{log.log_id()} + "/",
          settings.seed + place.index,
          {.place = place, .is_position_upstream = true, .priorities = settings.priorities}
      )
    , gate_(
          {.create_topics = settings.create_topics, .needs_all_partitions = true},
          table_,
          stats,
          log_line
      )
    , finder_(table_, gate_, log, dead_letters, log_line)
    , feeder_(
          log,
          stats,
          {settings.queue_messages / place.count,
           settings.queue_bytes / place.count,
           part_of(settings.rates, place.count),
           /*paces=*/false}
      )
    , id_wait_(settings.seed + 3)
    , producer_backoff_(producer_retry_first, producer_retry_most, settings.seed)
    , abort_backoff_(abort_retry_first, abort_retry_most, settings.seed + 1)
    , contest_backoff_(contest_first, contest_most, settings.seed + 2) {}

Engine::Turn Lane::turn(Instant now, Timestamp wall, bool may_begin) {
    now_ = now;
    wall_ = wall;
    gate_.set_time(now, wall);
    finder_.set_time(now, wall);
    Engine::Turn turn;
    if (progress_wall_ == timestamp_none) progressed();  // the first turn
    if (!client_ && reading_ && now_ >= producer_at_) make_producer();
    if (client_) {
        client_->producer->serve(*this);
        if (const auto done = client_->transactions->take_done()) on_done(*done);
    }
    if (auto refused = refusal(); client_ && !refused.empty()) {
        problem_ = std::move(refused);
        has_culprit_ = true;
        drop_producer(Duration::zero());
    } else if (is_stuck()) {
        lose_producer("nothing was confirmed for 30 s", Duration::zero());
    } else if (client_ && !step_) {
        if (const auto reason = client_->producer->fatal_reason()) {
            lose_producer(*reason, producer_backoff_.next());
        } else if (retry_ && now_ >= retry_at_) {
            start(*std::exchange(retry_, std::nullopt));
        }
    }
    if (client_ && state_ == State::taking_over) await_id();
    if (client_ && !step_ && !retry_) {
        if (state_ == State::aborting && table_.in_flight() == 0) aborted();
        if (state_ == State::idle && may_begin) idle(turn);
        if (state_ == State::sending) send(turn);
    }
    table_.publish(log_);
    if (sent_ == 0 && state_ == State::idle) progressed();
    wait_for_step(turn);
    return turn;
}

// A connection that a router has forgotten, or a broker that hangs: nothing says so, and librdkafka
// finds it out after a minute for each connection. Another producer has connections of its own,
// and Kafka tells it what became of the transaction.
bool Lane::is_stuck() const {
    const bool is_waiting = client_ && state_ != State::idle && state_ != State::taking_over &&
                            state_ != State::reading_positions &&
                            state_ != State::clearing;  // those have time-outs
    return is_waiting && now_ - progress_at_ >= no_progress_after;
}

// Whoever waits for the upstream is woken by it.
void Lane::wait_for_step(Engine::Turn& turn) const {
    const auto at_most = [&](Duration wait) {
        const Duration some = std::max(wait, Duration::zero());
        turn.wait = turn.wait ? std::min(*turn.wait, some) : some;
    };
    if (!client_) {
        at_most(producer_at_ - now_);
    } else if (retry_) {
        at_most(retry_at_ - now_);
    } else if (state_ != State::idle) {
        at_most(look_round);
    }
    if (client_ && state_ == State::taking_over && some_topic()) at_most(id_wait_.wait(now_));
    if (state_ == State::idle) return;
    turn.gathering = true;
    turn.caught_up = false;
}

bool Lane::has_more() {
    return client_ && reading_ && state_ == State::idle && feeder_.has_more(table_);
}

void Lane::make_producer() {
    std::string problem;
    auto made = factory_(number_, problem);
    if (!made) {
        problem_ = problem.empty() ? made.error().message() : problem;
        producer_at_ = now_ + producer_backoff_.next();
        log_line_(level_error, "forward: no producer: " + problem_);
        return;
    }
    client_ = std::move(made).value();
    stats_.producers.add();
    gate_.producer_made();
    id_wait_.begin(now_);
    state_ = State::taking_over;
    start(Step::init);
}

// What is known of the topics then is not asked for again when the id is there.
void Lane::await_id() {
    if (!reading_) return;
    table_.refresh(log_);
    gate_.open_topics(*client_->producer);
    if (!some_topic()) return;
    if (id_wait_.turn(*client_->producer, now_)) gate_.check_topics(*client_->producer);
}

std::optional<std::string> Lane::some_topic() const {
    const auto& topics = table_.topics();
    const auto opened = std::find_if(topics.begin(), topics.end(), [](const ForwardTopic& topic) {
        return topic.id.has_value();
    });
    if (opened == topics.end()) return std::nullopt;
    return opened->name;
}

void Lane::lose_producer(const std::string& reason, Duration wait) {
    log_line_(level_error, "forward: the producer failed, a new one takes over: " + reason);
    note_error(reason);
    problem_ = reason;
    drop_producer(wait);
}

void Lane::drop_producer(Duration wait) {
    forget_refusal();
    step_.reset();
    retry_.reset();
    forget_transaction();
    client_.reset();
    table_.forget_producer();
    gate_.settle();
    gate_.producer_lost();
    for (auto& partition : table_.partitions()) {
        partition.is_ready = false;
    }
    state_ = State::no_producer;
    producer_at_ = finder_.judge() ? now_ : now_ + wait;
}

void Lane::start(Step step, std::vector<upstream::GroupPosition> positions) {
    if (step == Step::read_positions) positions = unknown_positions();
    if (step == Step::send_positions) positions = positions_;
    client_->transactions->start(step, std::move(positions));
    step_ = step;
    step_at_ = now_;
}

void Lane::try_again_later(Step step, const upstream::StepDone& done) {
    stats_.faults[static_cast<std::size_t>(upstream::fault_of(done.error))].add();
    const std::string text = std::string{step_name(step)} + ": " + done.text;
    if (problem_ != text) log_line_(level_warning, "forward: " + text);
    problem_ = text;
    note_error(text);
    retry_ = step;
    // One that ran out of its time has waited long enough.
    retry_at_ = now_ + (upstream::is_time_out(done.error) ? producer_retry_first
                                                          : producer_backoff_.next());
}

void Lane::progressed() {
    progress_at_ = now_;
    progress_wall_ = wall_;
}

void Lane::on_done(const upstream::StepDone& done) {
    step_.reset();
    if (done.result == StepResult::done) {
        progressed();
        switch (done.step) {
            case Step::init:
                has_taken_over_ = true;
                id_wait_.end();
                state_ = State::idle;
                break;
            case Step::read_positions:
                state_ = State::idle;
                failed_reads_ = 0;
                take_positions(done.positions);
                break;
            case Step::send_positions:
                if (state_ == State::clearing) {
                    is_cleared_ = true;
                    abort("Kafka could not say the positions: a lost transaction is ended");
                } else if (position_first_) {
                    if (!is_away_) order_.took(done.took.value_or(now_ - step_at_));
                    state_ = State::sending;
                } else {
                    state_ = State::committing;
                    start(Step::commit);
                }
                break;
            case Step::commit: committed(); break;
            case Step::abort: break;  // the last reports are waited for
        }
        return;
    }
    const std::string text = std::string{step_name(done.step)} + ": " + done.text;
    if (done.result == StepResult::fatal) return lose_producer(text, producer_backoff_.next());
    switch (done.step) {
        case Step::init:
            if (done.result == StepResult::again) return try_again_later(done.step, done);
            return lose_producer(text, producer_backoff_.next());
        case Step::read_positions:
            if (done.result == StepResult::again) return not_read(done);
            return lose_producer(text, producer_backoff_.next());
        case Step::send_positions: return abort(text, done.error);
        case Step::commit:
            if (done.result == StepResult::again) return try_again_later(done.step, done);
            return abort(text, done.error);
        case Step::abort:
            if (done.result == StepResult::again) return try_again_later(done.step, done);
            return lose_producer(text, producer_backoff_.next());
    }
}

void Lane::idle(Engine::Turn& turn) {
    table_.refresh(log_);
    finder_.set_aside();
    gate_.open_topics(*client_->producer);
    gate_.settle();
    if (!reading_) return;
    gate_.check_topics(*client_->producer);
    if (!unknown_positions().empty()) {
        state_ = State::reading_positions;
        return start(Step::read_positions);
    }
    finder_.take_turns();
    pass_over();
    const auto waiting = backlog();
    const bool is_full = waiting >= static_cast<std::int64_t>(size_.records());
    const Duration paced = feeder_.pause(now_);
    if ((now_ < next_at_ && !is_full) || paced > Duration::zero()) {
        turn.wait = std::max(next_at_ - now_, paced);
        turn.caught_up = waiting == 0;
        turn.gathering = waiting > 0;
        return;
    }
    if (plan()) return begin();
    if (turns_alone_ > 0) {
        turn.wait = Duration::zero();  // the next topic's turn
        return;
    }
    turn.wait = gate_.wait();
    // Positions that do not move are committed again once a day: by then at the latest.
    turn.wait =
        std::min<Duration>(turn.wait.value_or(std::chrono::hours{1}), std::chrono::hours{1});
    if (const auto wait = finder_.wait()) turn.wait = std::min(*turn.wait, *wait);
}

void Lane::on_throttled(Duration held) {
    UpstreamNews::on_throttled(held);
    feeder_.throttle().throttled(now_, held);
}

void Lane::describe(ForwardStatus& status, Instant now, Timestamp wall) const {
    add_to(status);
    status.in_flight_records += sent_;
    if (!problem_.empty()) status.degraded.push_back("producer: " + problem_);
    if (feeder_.throttle().is_recent(now)) status.degraded.emplace_back(throttled_text);
    if (!alarm_.empty() && now - alarm_at_ < alarm_shown) status.degraded.push_back(alarm_);
    gate_.describe(status, log_);
    finder_.describe(status);
    if (client_ && state_ != State::idle && now - progress_at_ >= no_progress_after) {
        status.no_progress_since = progress_wall_;
        const auto waited_seconds = (wall - progress_wall_) / 1000;
        status.degraded.push_back(
            "nothing was confirmed for " + std::to_string(waited_seconds) + " s"
        );
    }
}

}  // namespace milepost::forward
