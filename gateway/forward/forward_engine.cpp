#include "gateway/forward/forward_engine.hpp"

#include "storage/base/check.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

namespace milepost::forward {

namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// A fatal producer's requests that were on the wire are worth this much: what they confirm is not
// sent twice.
constexpr seconds replace_wait{2};

}  // namespace

ForwardEngine::ForwardEngine(
    const ForwardSettings& settings,
    storage::Log& log,
    ForwardStats& stats,
    ProducerFactory make_producer,
    DeadLetterWiring dead_letters,
    LogLine log_line
)
    : UpstreamNews(stats, std::move(log_line))
    , log_(log)
    , factory_(std::move(make_producer))
    , table_(
          settings.gateway_id + "/" + std::string{log.log_id()} + "/",
          settings.seed,
          {.priorities = settings.priorities}
      )
    , gate_({.create_topics = settings.create_topics}, table_, stats, log_line_)
    , finder_(table_, gate_, log, std::move(dead_letters), log_line_)
    , feeder_(
          log,
          stats,
          Feeder::Limits{settings.queue_messages, settings.queue_bytes, settings.rates}
      )
    , id_wait_(settings.seed + 3)
    , producer_backoff_(producer_retry_first, producer_retry_most, settings.seed) {}

ForwardEngine::Turn ForwardEngine::turn(Instant now, Timestamp wall) {
    now_ = now;
    wall_ = wall;
    gate_.set_time(now, wall);
    finder_.set_time(now, wall);
    Turn turn;
    table_.refresh(log_);
    finder_.set_aside();
    if (!producer_) {
        if (reading_ && now_ >= producer_at_) make_producer();
        if (!producer_) {
            turn.wait = std::max(producer_at_ - now_, Duration::zero());
            return turn;
        }
    }
    gate_.open_topics(*producer_);
    producer_->serve(*this);
    if (!replacing_until_) {
        if (auto reason = producer_->fatal_reason()) {
            begin_replacing(*std::move(reason));
        } else if (auto refused = refusal(); !refused.empty()) {
            producer_problem_ = std::move(refused);
            let_go();
        }
    }
    table_.take_confirmed();
    table_.publish(log_);
    if (replacing_until_) {
        if (replaced()) {
            turn.wait = std::max(producer_at_ - now_, Duration::zero());
        } else {
            turn.wait = std::min<Duration>(*replacing_until_ - now_, milliseconds{100});
        }
        return turn;
    }
    gate_.settle();
    finder_.judge();
    if (in_flight() == 0) {
        progress_at_ = now_;
        progress_wall_ = wall_;
    }
    if (reading_) {
        gate_.check_topics(*producer_);
        if (in_flight() > 0) id_wait_.turn(*producer_, now_);
        finder_.take_turns();
        finder_.limit_runs();
        feed(turn);
    }
    work_out_wait(turn);
    return turn;
}

void ForwardEngine::make_producer() {
    std::string problem;
    auto made = factory_(problem);
    if (!made) {
        producer_problem_ = problem.empty() ? made.error().message() : problem;
        producer_at_ = now_ + producer_backoff_.next();
        log_line_(level_error, "forward: no producer: " + producer_problem_);
        return;
    }
    producer_ = std::move(made).value();
    stats_.producers.add();
    gate_.producer_made();
    id_wait_.begin(now_);
}

bool ForwardEngine::has_refused_some() const {
    const auto& partitions = table_.partitions();
    return std::any_of(partitions.begin(), partitions.end(), [](const ForwardPartition& partition) {
        return partition.refusal.records > 0;
    });
}

void ForwardEngine::begin_replacing(std::string reason) {
    if (has_refused_some()) {
        // A batch was refused, and nothing may overtake it: so the library gives up.
        log_line_(level_notice, "forward: a new producer takes over: " + reason);
    } else {
        log_line_(level_error, "forward: the producer failed, a new one takes over: " + reason);
        note_error(reason);
        producer_problem_ = std::move(reason);
    }
    let_go();
}

void ForwardEngine::let_go() {
    forget_refusal();
    feeder_.drop();
    producer_->purge_queue();
    replacing_until_ = now_ + replace_wait;
}

// True when the fatal producer is gone.
bool ForwardEngine::replaced() {
    if (in_flight() > 0 && now_ < *replacing_until_) return false;
    producer_.reset();
    replacing_until_.reset();
    table_.forget_producer();
    stats_.in_flight_records.set(0);
    stats_.in_flight_bytes.set(0);
    gate_.producer_lost();
    producer_at_ = finder_.judge() ? now_ : now_ + producer_backoff_.next();
    return true;
}

void ForwardEngine::feed(Turn& turn) {
    auto outcome = feeder_.feed(table_, *producer_, now_, wall_);
    turn.sent = outcome.records;
    turn.caught_up = !outcome.more && !outcome.queue_full && !feeder_.has_more(table_);
    turn.may_rest = outcome.records > 0 && !outcome.more && !outcome.queue_full &&
                    !outcome.held_back && !outcome.paced && !outcome.trouble;
    if (outcome.more) turn.wait = Duration::zero();
    if (outcome.paced) {
        turn.wait = outcome.paced;
        turn.caught_up = false;
        turn.gathering = true;
    }
    if (outcome.trouble) {
        const auto& [topic, error, text, record] = *outcome.trouble;
        if (record && upstream::fault_of(error) == upstream::Fault::record) {
            finder_.refused(record->first, record->second, error.value());
        } else {
            gate_.stop(topic, error, text);
        }
        feeder_.drop();
        turn.wait = Duration::zero();
    }
}

void ForwardEngine::work_out_wait(Turn& turn) const {
    const auto at_most = [&](Duration wait) {
        const Duration some = std::max(wait, Duration::zero());
        turn.wait = turn.wait ? std::min(*turn.wait, some) : some;
    };
    if (in_flight() > 0) at_most(look_round);
    if (in_flight() > 0 && reading_ && id_wait_.is_waiting()) at_most(id_wait_.wait(now_));
    if (const auto wait = finder_.wait()) at_most(*wait);
    if (!reading_) return;
    if (const auto wait = gate_.wait()) at_most(*wait);
}

void ForwardEngine::on_reports(std::span<const upstream::DeliveryReport> reports) {
    std::uint64_t confirmed = 0;
    std::uint64_t confirmed_bytes = 0;
    std::int64_t bytes = 0;
    for (const auto& report : reports) {
        auto& partition = table_[partition_of(report.tag)];
        auto& topic = table_.topic_of(partition);
        auto& window = partition.window;
        const Offset offset = offset_of(report.tag, window.confirmed());
        --topic.in_flight;
        partition.bytes_in_flight -= report.bytes;
        bytes += static_cast<std::int64_t>(report.bytes);
        if (report.fault == upstream::Fault::none) {
            window.confirm(offset);
            ++confirmed;
            confirmed_bytes += report.bytes;
            gate_.confirmed(topic);
            continue;
        }
        window.fail(offset);
        on_failed(partition_of(report.tag), offset, report);
    }
    stats_.in_flight_records.add(-static_cast<std::int64_t>(reports.size()));
    stats_.in_flight_bytes.add(-bytes);
    if (confirmed == 0) return;
    id_wait_.end();
    stats_.records.add(confirmed);
    stats_.bytes.add(confirmed_bytes);
    progress_at_ = now_;
    progress_wall_ = wall_;
    if (!replacing_until_) {
        producer_problem_.clear();
        producer_backoff_.reset();
    }
    if (stats_.brokers_connected.value() == 0) stats_.brokers_connected.set(1);
}

void ForwardEngine::on_failed(
    storage::PartitionId id,
    Offset offset,
    const upstream::DeliveryReport& report
) {
    auto& partition = table_[id];
    auto& topic = table_.topic_of(partition);
    if (report.fault == upstream::Fault::record) {
        finder_.refused(id, offset, report.code);
    } else if (report.fault == upstream::Fault::topic) {
        const auto error = upstream::upstream_error(report.code);
        gate_.stop(
            partition.topic,
            error,
            partition.name.topic + "-" + std::to_string(partition.name.partition) + " offset " +
                std::to_string(offset.value()) + ": " + error.message()
        );
    } else {
        gate_.retry_at_once(topic, report.fault);
    }
    feeder_.drop();
}

void ForwardEngine::on_throttled(Duration held) {
    UpstreamNews::on_throttled(held);
    feeder_.throttle().throttled(now_, held);
}

ForwardStatus ForwardEngine::status(Instant now, Timestamp wall) const {
    ForwardStatus status;
    add_to(status);
    status.in_flight_records = in_flight();
    if (!producer_problem_.empty()) status.degraded.push_back("producer: " + producer_problem_);
    add_no_broker(status);
    if (feeder_.throttle().is_recent(now)) status.degraded.emplace_back(throttled_text);
    gate_.describe(status, log_);
    finder_.describe(status);
    if (status.in_flight_records > 0 && now - progress_at_ >= no_progress_after) {
        status.no_progress_since = progress_wall_;
        const auto waited_seconds = (wall - progress_wall_) / 1000;
        status.degraded.push_back(
            "nothing was confirmed for " + std::to_string(waited_seconds) + " s"
        );
    }
    return status;
}

}  // namespace milepost::forward
