// One transaction of a lane, from what it shall carry to its commit or its end.
#include "gateway/forward/lane.hpp"
#include "gateway/forward/position_mark.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

namespace milepost::forward {

namespace {

using std::chrono::milliseconds;
using upstream::Step;

// Live traffic: what comes together in this time goes in one transaction.
constexpr milliseconds transaction_interval{100};
// Kafka forgets a group's positions some days after the last commit (7 by default).
constexpr std::chrono::hours recommit_after{24};
constexpr std::int64_t weight_unit = 840;          // divisible by the small numbers of partitions
constexpr std::uint64_t record_bytes_guess = 256;  // before any is known

}  // namespace

// What was given up to make room (drop_oldest) and what was set aside is no work.
void Lane::pass_over() {
    auto& partitions = table_.partitions();
    for (std::size_t i = 0; i < partitions.size(); ++i) {
        auto& partition = partitions[i];
        if (!table_.may_send(partition)) continue;
        const auto positions = log_.positions(storage::PartitionId{static_cast<std::uint32_t>(i)});
        const Offset from = std::max(partition.window.next(), positions.start);
        partition.window.skip_to(std::max(
            std::min(ForwardTable::behind_poison(partition, from), positions.durable),
            partition.window.next()
        ));
    }
}

std::int64_t Lane::backlog() const {
    std::int64_t records = 0;
    const auto& partitions = table_.partitions();
    for (std::size_t i = 0; i < partitions.size(); ++i) {
        if (!table_.may_send(partitions[i])) continue;
        const storage::PartitionId id{static_cast<std::uint32_t>(i)};
        records += log_.positions(id).durable - partitions[i].window.next();
    }
    return records;
}

bool Lane::is_due(const ForwardPartition& partition) const {
    return !partition.committed_at || now_ - *partition.committed_at >= recommit_after;
}

// What the next transaction may carry: not more than goes in about a second.
std::int64_t Lane::room() const {
    auto records = static_cast<std::int64_t>(size_.records());
    const Rates& rates = feeder_.rates();
    if (rates.records_per_s > 0) {
        records = std::min(records, static_cast<std::int64_t>(rates.records_per_s));
    }
    if (rates.bytes_per_s > 0) {
        const auto confirmed = stats_.records.value();
        const auto each = confirmed > 0 ? stats_.bytes.value() / confirmed + 1 : record_bytes_guess;
        records = std::min(records, static_cast<std::int64_t>(rates.bytes_per_s / each));
    }
    return std::max<std::int64_t>(records, 1);
}

// Chooses what the next transaction carries: of each partition that has something a part by its
// topic's weight, and what a small one leaves goes to the others. False: nothing at all.
bool Lane::plan() {
    if (turns_alone_ > 0) {
        --turns_alone_;
        alone_ = (alone_ + 1) % table_.topics().size();
    }

    std::vector<ForwardPartition*> waiting;
    std::vector<Demand> demands;
    positions_.clear();
    const auto add_position = [&](const ForwardPartition& partition) {
        positions_.push_back({
            .topic = partition.name.topic,
            .partition = partition.name.partition,
            .offset = partition.limit.value(),
            .metadata =
                mark_text({std::string{log_.log_id()}, settings_.instance_id, partition.limit}),
        });
    };
    auto& partitions = table_.partitions();
    for (std::size_t i = 0; i < partitions.size(); ++i) {
        auto& partition = partitions[i];
        partition.limit = partition.window.next();
        if (!table_.may_send(partition) || !has_turn(partition)) continue;
        const storage::PartitionId id{static_cast<std::uint32_t>(i)};
        if (auto records = log_.positions(id).durable - partition.limit; records > 0) {
            if (partition.run.is_limited()) records = std::min(records, partition.run.records());
            waiting.push_back(&partition);
            demands.push_back({.wanted = records, .weight = table_.topic_of(partition).weight});
        } else if (is_due(partition) || partition.limit > partition.forwarded) {
            add_position(partition);
        }
    }
    // A topic's weight is shared by its partitions.
    for (std::size_t i = 0; i < waiting.size(); ++i) {
        const auto topic = waiting[i]->topic;
        const auto mates = std::count_if(waiting.begin(), waiting.end(), [&](const auto* other) {
            return other->topic == topic;
        });
        demands[i].weight = std::max<std::int64_t>(demands[i].weight * weight_unit / mates, 1);
    }
    share_out(room(), demands);
    for (std::size_t i = 0; i < waiting.size(); ++i) {
        waiting[i]->limit += demands[i].share;
        add_position(*waiting[i]);
    }
    if (positions_.empty()) release_limits();
    return !positions_.empty();
}

void Lane::release_limits() {
    for (auto& partition : table_.partitions()) {
        partition.limit = Offset{offset_any};
    }
}

void Lane::begin() {
    if (const auto error = client_->transactions->begin()) {
        release_limits();
        return lose_producer(
            "beginning a transaction: " + error.message(),
            producer_backoff_.next()
        );
    }
    begun_at_ = now_;
    next_at_ = now_ + transaction_interval;
    // In an outage, too: a broker that has just come back refuses both of a transaction's first
    // requests, and librdkafka sends the positions again at once, the records after 500 ms.
    is_away_ = stats_.brokers_connected.value() == 0;
    position_first_ = settings_.position_first == PositionFirst::always ||
                      (settings_.position_first == PositionFirst::automatic &&
                       (is_away_ || order_.next_is_first()));
    if (position_first_) {
        state_ = State::opening;
        start(Step::send_positions);
    } else {
        state_ = State::sending;
    }
}

void Lane::send(Engine::Turn& turn) {
    if (failed_) return abort("a record failed");
    auto outcome = feeder_.feed(table_, *client_->producer, now_, wall_);
    turn.sent = outcome.records;
    sent_ += outcome.records;
    if (outcome.trouble) {
        const auto& [topic, error, text, record] = *outcome.trouble;
        has_culprit_ = upstream::fault_of(error) != upstream::Fault::transient;
        if (record && upstream::fault_of(error) == upstream::Fault::record) {
            finder_.refused(record->first, record->second, error.value());
        } else if (upstream::fault_of(error) != upstream::Fault::transient) {
            gate_.stop(topic, error, text);
        } else if (turns_alone_ > 0) {
            gate_.stop(alone_, error, text);
        } else {
            // Refused for another topic's sake, perhaps.
            turns_alone_ = table_.topics().size() + 1;
        }
        return abort(text);
    }
    if (feeder_.has_more(table_)) {
        if (outcome.more) turn.wait = Duration::zero();
        return;
    }
    // The commit itself waits for what is on its way, and it alone knows why some of that will not
    // arrive.
    state_ = position_first_ ? State::committing : State::closing;
    start(position_first_ ? Step::commit : Step::send_positions);
}

void Lane::on_reports(std::span<const upstream::DeliveryReport> reports) {
    std::int64_t bytes = 0;
    for (const auto& report : reports) {
        auto& partition = table_[partition_of(report.tag)];
        const Offset offset = offset_of(report.tag, partition.window.confirmed());
        --table_.topic_of(partition).in_flight;
        partition.bytes_in_flight -= report.bytes;
        bytes += static_cast<std::int64_t>(report.bytes);
        if (report.fault == upstream::Fault::none) {
            partition.window.confirm(offset);
            sent_bytes_ += report.bytes;
            continue;
        }
        partition.window.fail(offset);
        failed_ = true;
        has_culprit_ = has_culprit_ || report.fault == upstream::Fault::record ||
                       report.fault == upstream::Fault::topic;
        if (report.fault != upstream::Fault::record) {
            stats_.faults[static_cast<std::size_t>(report.fault)].add();
        }
        if (report.fault == upstream::Fault::record) {
            finder_.refused(partition_of(report.tag), offset, report.code);
        }
        if (report.fault != upstream::Fault::topic) continue;
        const auto error = upstream::upstream_error(report.code);
        gate_.stop(
            partition.topic,
            error,
            partition.name.topic + "-" + std::to_string(partition.name.partition) + " offset " +
                std::to_string(offset.value()) + ": " + error.message()
        );
    }
    if (reports.empty()) return;
    stats_.in_flight_records.add(-static_cast<std::int64_t>(reports.size()));
    stats_.in_flight_bytes.add(-bytes);
    progressed();
}

// A topic may be described but not written to: only the transaction's own requests show it.
void Lane::find_culprit(const ErrorCode& error, const std::string& reason) {
    if (upstream::fault_of(error) != upstream::Fault::topic) return;
    has_culprit_ = true;
    const auto& topics = table_.topics();
    const bool is_known = std::any_of(topics.begin(), topics.end(), [](const ForwardTopic& topic) {
        return topic.state == TopicState::draining;
    });
    if (is_known) return;
    if (turns_alone_ > 0) {
        gate_.stop(alone_, error, reason);
    } else {
        turns_alone_ = topics.size() + 1;
    }
}

void Lane::abort(const std::string& reason, const ErrorCode& error) {
    find_culprit(error, reason);
    log_line_(level_warning, "forward: a transaction is aborted: " + reason);
    problem_ = reason;
    note_error(reason);
    state_ = State::aborting;
    start(Step::abort);
}

void Lane::committed() {
    size_.committed(sent_, now_ - begun_at_);
    auto next = positions_.begin();
    for (auto& partition : table_.partitions()) {
        next = std::find_if(positions_.begin(), positions_.end(), [&](const auto& position) {
            return position.partition == partition.name.partition &&
                   position.topic == partition.name.topic;
        });
        if (next == positions_.end()) continue;
        if (partition.limit > partition.forwarded) PoisonFinder::run_succeeded(partition);
        partition.forwarded = partition.limit;
        partition.in_kafka = partition.limit;
        partition.window = ForwardWindow{partition.limit};
        partition.committed_at = now_;
        partition.is_committed_here = true;
        gate_.confirmed(table_.topic_of(partition));
    }
    stats_.records.add(sent_);
    stats_.bytes.add(sent_bytes_);
    stats_.transactions.add();
    if (stats_.brokers_connected.value() == 0) stats_.brokers_connected.set(1);
    sent_ = 0;
    sent_bytes_ = 0;
    failed_ = false;
    has_culprit_ = false;
    positions_.clear();
    release_limits();
    state_ = State::idle;
    problem_.clear();
    producer_backoff_.reset();
    abort_backoff_.reset();
    is_contested_ = false;
}

void Lane::aborted() {
    stats_.aborted_transactions.add();
    forget_transaction();
    table_.forget_sent();
    gate_.settle();
    state_ = State::idle;
    // That a record is refused is no reason to wait.
    next_at_ = finder_.judge() ? now_ : now_ + abort_backoff_.next();
    begun_at_ = now_;
}

// What it carried was not forwarded.
void Lane::forget_transaction() {
    if (sent_ > 0 && !has_culprit_) size_.lost(now_ - begun_at_);
    std::int64_t bytes = 0;
    for (const auto& partition : table_.partitions()) {
        bytes += static_cast<std::int64_t>(partition.bytes_in_flight);
    }
    stats_.in_flight_records.add(-static_cast<std::int64_t>(table_.in_flight()));
    stats_.in_flight_bytes.add(-bytes);
    feeder_.drop();
    sent_ = 0;
    sent_bytes_ = 0;
    failed_ = false;
    has_culprit_ = false;
    positions_.clear();
    release_limits();
}

}  // namespace milepost::forward
