#include "gateway/forward/poison_finder.hpp"

#include "gateway/forward/chunk.hpp"

#include <algorithm>
#include <cstdlib>
#include <utility>
#include <vector>

namespace milepost::forward {

namespace {

constexpr std::uint64_t seed_step = 5;  // another sequence than the table's and the gate's
// A record that Kafka finds stamped wrongly although it is as old as the clock says: then the
// clock is wrong, here or there, and no record.
constexpr std::int64_t clock_ms = 600'000;
constexpr std::size_t read_bytes = 16 * 1024;

std::string place_of(const ForwardPartition& partition, Offset offset) {
    return partition.name.topic + "-" + std::to_string(partition.name.partition) + " offset " +
           std::to_string(offset.value());
}

}  // namespace

PoisonFinder::PoisonFinder(
    ForwardTable& table,
    TopicGate& gate,
    storage::Log& log,
    DeadLetterWiring wiring,
    LogLine log_line
)
    : table_(table)
    , gate_(gate)
    , log_(log)
    , box_(log, std::move(wiring), table.seed() + seed_step)
    , log_line_(std::move(log_line)) {}

void PoisonFinder::refused(storage::PartitionId id, Offset offset, int code) {
    auto& partition = table_[id];
    auto& refusal = partition.refusal;
    if (refusal.records++ == 0) {
        refusal.first = offset;
        refusal.code = code;
    }
    gate_.retry_at_once(table_.topic_of(partition), upstream::Fault::record);
}

bool PoisonFinder::judge() {
    std::vector<std::pair<storage::PartitionId, std::int64_t>> refused;
    for (std::size_t i = 0; i < table_.partitions().size(); ++i) {
        const storage::PartitionId id{static_cast<std::uint32_t>(i)};
        const auto& partition = table_[id];
        if (partition.refusal.records == 0 || table_.topic_of(partition).in_flight > 0) continue;
        refused.emplace_back(id, refused_together(partition));
    }
    for (const auto& [id, together] : refused)
        judge(id, together);
    return !refused.empty();
}

// An upper bound of the records that one batch can have had of what was refused.
std::int64_t PoisonFinder::refused_together(const ForwardPartition& partition) const {
    if (!table_.topics()[partition.topic].is_mixed()) return partition.refusal.records;
    std::int64_t records = 0;
    for (const auto& other : table_.partitions()) {
        if (other.topic == partition.topic) records += other.refusal.records;
    }
    return records;
}

void PoisonFinder::take_turns() {
    for (std::size_t topic = 0; topic < table_.topics().size(); ++topic) {
        auto& turns = table_.topics()[topic];
        if (turns.in_flight == 0 && (turns.alone || turns.is_mixed())) {
            turns.alone = next_turn(topic);
        }
    }
}

// nullopt: the topic's partitions may go together.
std::optional<std::size_t> PoisonFinder::next_turn(std::size_t index) {
    const auto& topic = table_.topics()[index];
    const auto& partitions = table_.partitions();
    const bool is_limited =
        std::any_of(partitions.begin(), partitions.end(), [&](const ForwardPartition& partition) {
            return partition.topic == index && partition.run.is_limited();
        });
    if (!topic.is_mixed() || !is_limited) return std::nullopt;
    const std::size_t last = topic.alone.value_or(partitions.size() - 1);
    for (std::size_t step = 1; step <= partitions.size(); ++step) {
        const std::size_t at = (last + step) % partitions.size();
        const auto& partition = partitions[at];
        const storage::PartitionId id{static_cast<std::uint32_t>(at)};
        if (partition.topic != index || !partition.ours || partition.is_held) continue;
        if (partition.window.next() < log_.positions(id).durable) return at;
    }
    return std::nullopt;  // nothing to send
}

void PoisonFinder::judge(storage::PartitionId id, std::int64_t together) {
    auto& partition = table_[id];
    const auto refusal = std::exchange(partition.refusal, {});
    const auto error = upstream::upstream_error(refusal.code);
    partition.limit = Offset{offset_any};
    if (together > 1) {
        if (!partition.run.is_limited()) {
            log_line_(
                level_notice,
                "forward: " + std::to_string(refusal.records) + " records from " +
                    place_of(partition, refusal.first) + " were refused together (" +
                    error.message() + "): fewer go together until it is known which one it is"
            );
        }
        return partition.run.refused(together);
    }
    partition.run.found();
    if (upstream::is_timestamp_refused(error)) {
        Chunk chunk;
        const auto read = chunk.read(log_, id, refusal.first, read_bytes);
        const auto* record = read ? chunk.record() : nullptr;
        if (record != nullptr && std::abs(wall_ - record->timestamp) < clock_ms) {
            return gate_.stop(
                partition.topic,
                error,
                place_of(partition, refusal.first) + ": " + error.message() +
                    ": is the clock right, here and at the brokers?"
            );
        }
    }
    partition.is_held = true;
    box_.put({.partition = id, .offset = refusal.first, .reason = error.message()});
}

void PoisonFinder::limit_runs() {
    auto& partitions = table_.partitions();
    for (auto& partition : partitions) {
        if (!partition.run.is_limited() || partition.window.in_flight() > 0) continue;
        if (partition.refusal.records > 0 || !table_.may_send(partition)) continue;
        if (partition.limit < Offset{offset_any} && partition.window.next() >= partition.limit) {
            run_succeeded(partition);
        } else if (partition.limit < Offset{offset_any}) {
            continue;  // there was less to send than the run may have
        }
        partition.limit = partition.run.is_limited()
                              ? partition.window.next() + partition.run.records()
                              : Offset{offset_any};
    }
}

void PoisonFinder::run_succeeded(ForwardPartition& partition) {
    partition.run.succeeded();
}

bool PoisonFinder::set_aside() {
    bool any = false;
    while (const auto done = box_.turn(now_, wall_)) {
        auto& partition = table_[done->poison.partition];
        const std::string what = place_of(partition, done->poison.offset) + ": " +
                                 done->poison.reason;
        partition.is_held = false;
        any = true;
        if (!done->problem.empty()) {
            // Nothing is passed over in silence: the topic waits and tries again.
            gate_.stop(partition.topic, upstream::record_refused(), what + "; " + done->problem);
            continue;
        }
        table_.add_poison(done->poison.partition, done->poison.offset);
        log_line_(
            level_warning,
            "forward: the record at " + what + "; it is passed over" +
                (done->letter.empty() ? std::string{} : ", and a copy is in " + done->letter)
        );
    }
    return any;
}

void PoisonFinder::describe(ForwardStatus& status) const {
    if (!box_.problem().empty()) {
        status.degraded.push_back("a refused record waits: " + box_.problem());
    }
}

}  // namespace milepost::forward
