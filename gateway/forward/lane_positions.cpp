// Where a lane goes on: what Kafka says, and how far that is to be trusted.
#include "gateway/forward/lane.hpp"
#include "gateway/forward/position_mark.hpp"

#include <algorithm>
#include <utility>

namespace milepost::forward {

namespace {

constexpr int failed_reads_max = 2;  // each takes ten seconds

std::string name_of(const storage::TopicPartition& name) {
    return name.topic + "-" + std::to_string(name.partition);
}

// "t-0", or "t-0 and 3 more".
struct Places {
    std::string first{};
    std::size_t count = 0;

    void add(const storage::TopicPartition& name) {
        if (count++ == 0) first = name_of(name);
    }

    [[nodiscard]] std::string text() const {
        if (count <= 1) return first;
        return first + " and " + std::to_string(count - 1) + " more";
    }
};

}  // namespace

// What one reading found, for one line each.
struct Lane::Findings {
    Places missing;     // no position, though there was one
    Places unmarked;    // set by somebody who is no gateway
    Places other_log;   // of another log
    Places beyond_end;  // the log ends before it
    Places behind;      // of what was confirmed to this gateway
    Places ahead;       // what at_least_once forwarded meanwhile
    Places foreign;     // committed by another process, since ours
    std::string other_log_id;
};

std::vector<upstream::GroupPosition> Lane::unknown_positions() const {
    std::vector<upstream::GroupPosition> unknown;
    for (const auto& partition : table_.partitions()) {
        if (!partition.ours || partition.is_ready) continue;
        if (table_.topics()[partition.topic].state != TopicState::forwarding) continue;
        unknown.push_back({.topic = partition.name.topic, .partition = partition.name.partition});
    }
    return unknown;
}

// Kafka can lose the end of a transaction, such as when a broker is killed while it writes the
// markers (KIP-890 calls it hanging). What that one said of the positions is then undecided for
// ever, and Kafka answers nobody who asks for them. A marker of the same producer decides it: one
// comes with the end of the next transaction. So one is begun that carries positions, without our
// mark, and is aborted. If the lost one was committed, Kafka goes back by its positions: what was
// confirmed here is then ahead, and counts.
void Lane::not_read(const upstream::StepDone& done) {
    if (++failed_reads_ < failed_reads_max) return try_again_later(done.step, done);
    failed_reads_ = 0;
    if (const auto error = client_->transactions->begin()) {
        return lose_producer(
            "beginning a transaction: " + error.message(),
            producer_backoff_.next()
        );
    }
    ++asked_for_ends_;
    positions_ = clearing_positions();
    state_ = State::clearing;
    start(upstream::Step::send_positions);
}

std::vector<upstream::GroupPosition> Lane::clearing_positions() const {
    auto positions = unknown_positions();
    for (auto& position : positions)
        position.offset = 0;
    return positions;
}

void Lane::take_positions(const std::vector<upstream::GroupPosition>& found) {
    Findings findings;
    for (const auto& position : found) {
        const storage::TopicPartition name{position.topic, position.partition};
        auto& partitions = table_.partitions();
        const auto partition = std::find_if(
            partitions.begin(),
            partitions.end(),
            [&](const ForwardPartition& candidate) { return candidate.name == name; }
        );
        if (partition == partitions.end() || !partition->ours || partition->is_ready) continue;
        if (partition->is_committed_here) {
            take_again(*partition, position, findings);
        } else {
            take_first(*partition, position, findings);
        }
    }
    is_cleared_ = false;
    report(findings);
    if (findings.foreign.count == 0) return;
    if (std::exchange(is_contested_, true)) {
        // It had its time; whoever is right, the operator was told.
        log_line_(level_warning, "forward: taking over again");
        return;
    }
    alarm(
        "another gateway forwards as " + settings_.gateway_id + " (" + findings.foreign.text() +
        "): give each gateway an id of its own, or stop the other one"
    );
    lose_producer("fenced by another gateway with the same id", contest_backoff_.next());
}

// The first time since the start of the process.
void Lane::take_first(
    ForwardPartition& partition,
    const upstream::GroupPosition& found,
    Findings& findings
) {
    const auto mark = parse_mark(found.metadata);
    if (found.offset < 0) {
        // Nothing to be forgotten where it never had one.
        if (partition.is_stored && partition.in_kafka == Offset{0}) {
            findings.ahead.add(partition.name);
        } else if (partition.is_stored) {
            findings.missing.add(partition.name);
            return take_local(partition, findings);
        }
        return go_on(partition, partition.forwarded, findings);
    }
    if (!mark || mark->offset.value() != found.offset) {
        findings.unmarked.add(partition.name);
        return take_local(partition, findings);
    }
    if (mark->log_id != log_.log_id()) {
        findings.other_log.add(partition.name);
        findings.other_log_id = mark->log_id;
        return go_on(partition, partition.forwarded, findings);
    }
    const bool is_behind = partition.is_stored && mark->offset < partition.forwarded;
    // Kafka has all that it ever had: what it does not know of was forwarded by at_least_once.
    const bool is_whole = partition.in_kafka && mark->offset >= *partition.in_kafka;
    if (is_behind && (is_cleared_ || is_whole)) {
        if (is_whole) findings.ahead.add(partition.name);
        partition.in_kafka = mark->offset;
        return go_on(partition, partition.forwarded, findings);
    }
    if (is_behind) {
        findings.behind.add(partition.name);
        if (settings_.on_missing_position == MissingPosition::fail) {
            return gate_.stop(
                partition.topic,
                upstream::upstream_error(0),
                "Kafka's position of " + name_of(partition.name) +
                    " is behind the copy here, and upstream.on_missing_position is \"fail\""
            );
        }
    }
    // Behind the copy, too: a Kafka that was set back may have lost what it confirmed, so better
    // twice than never.
    partition.in_kafka = mark->offset;
    go_on(partition, mark->offset, findings);
}

// After a producer was lost: was its last transaction committed?
void Lane::take_again(
    ForwardPartition& partition,
    const upstream::GroupPosition& found,
    Findings& findings
) {
    const auto mark = parse_mark(found.metadata);
    if (!mark || mark->offset.value() != found.offset) {
        (found.offset < 0 ? findings.missing : findings.unmarked).add(partition.name);
    } else if (mark->instance_id == settings_.instance_id) {
        partition.in_kafka = mark->offset;
        return go_on(
            partition,
            is_cleared_ ? std::max(mark->offset, partition.forwarded) : mark->offset,
            findings
        );
    } else {
        findings.foreign.add(partition.name);
    }
    go_on(partition, partition.forwarded, findings);
}

void Lane::take_local(ForwardPartition& partition, Findings& findings) {
    switch (settings_.on_missing_position) {
        case MissingPosition::local: return go_on(partition, partition.forwarded, findings);
        case MissingPosition::earliest: return go_on(partition, Offset{0}, findings);
        case MissingPosition::fail: break;
    }
    gate_.stop(
        partition.topic,
        upstream::upstream_error(0),
        "no position upstream for " + name_of(partition.name) +
            ", and upstream.on_missing_position is \"fail\""
    );
}

void Lane::go_on(ForwardPartition& partition, Offset offset, Findings& findings) {
    const auto id = log_.find(partition.name);
    const auto positions = log_.positions(*id);
    if (offset > positions.durable) findings.beyond_end.add(partition.name);
    const Offset at = std::clamp(offset, positions.start, positions.durable);
    partition.window = ForwardWindow{at};
    partition.forwarded = at;
    if (partition.in_kafka) partition.in_kafka = std::min(*partition.in_kafka, at);
    partition.committed_at.reset();
    partition.is_ready = true;
}

void Lane::report(const Findings& findings) {
    const bool local = settings_.on_missing_position == MissingPosition::local;
    const std::string from = local ? "; going on from the copy here" : "";
    if (findings.missing.count > 0) {
        log_line_(
            level_warning,
            "forward: Kafka has no position any more for " + findings.missing.text() + from
        );
    }
    if (findings.behind.count > 0) {
        log_line_(
            level_notice,
            "forward: Kafka's position of " + findings.behind.text() +
                " is behind the copy here (a Kafka that was set back, or at_least_once in a "
                "version that did not note it): what is between them is sent again, with the same "
                "mp.id"
        );
    }
    if (findings.ahead.count > 0) {
        log_line_(
            level_notice,
            "forward: at_least_once has forwarded more of " + findings.ahead.text() +
                " than Kafka's position says; going on behind it"
        );
    }
    if (findings.unmarked.count > 0) {
        alarm(
            "the position of " + findings.unmarked.text() + " in group milepost-" +
            settings_.gateway_id +
            " was set by something else and is not used: nothing may subscribe with that group" +
            from
        );
    }
    if (findings.other_log.count > 0) {
        log_line_(
            level_notice,
            "forward: the position of " + findings.other_log.text() + " is of another log (" +
                findings.other_log_id + ") and is not used"
        );
    }
    if (findings.beyond_end.count > 0) {
        alarm(
            "the position of " + findings.beyond_end.text() +
            " is behind the end of the log: is this folder an old copy?"
        );
    }
}

void Lane::alarm(std::string text) {
    log_line_(level_error, "forward: " + text);
    alarm_ = std::move(text);
    alarm_at_ = now_;
}

}  // namespace milepost::forward
