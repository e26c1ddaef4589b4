#pragma once

#include "gateway/forward/backoff.hpp"
#include "gateway/forward/forward_status.hpp"
#include "gateway/forward/forward_window.hpp"
#include "gateway/forward/run_limit.hpp"
#include "gateway/forward/shares.hpp"
#include "gateway/upstream/producer.hpp"
#include "storage/base/time.hpp"
#include "storage/log/keeper.hpp"
#include "storage/log/log.hpp"
#include "storage/meta/position_store.hpp"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <limits>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace milepost::forward {

inline constexpr std::int64_t offset_any = std::numeric_limits<std::int64_t>::max();

struct OffsetRange {
    Offset first;
    Offset end;
};

struct Refusal {
    std::int64_t records = 0;
    Offset first{};
    int code = 0;  // upstream_error(code)
};

// One partition of the log on its way upstream.
struct ForwardPartition {
    storage::TopicPartition name;
    std::size_t topic = 0;   // its place in ForwardTable::topics()
    bool ours = true;        // not another producer's
    bool is_stored = false;  // the position store had a position of it
    ForwardWindow window;
    std::uint64_t bytes_in_flight = 0;
    Offset forwarded;  // the upstream has everything below for good
    Offset published;  // what the log was told
    // The last position that Kafka is known to have; nullopt: not known. See ForwardPosition.
    std::optional<Offset> in_kafka{};
    Offset saved;  // what the position store has
    std::optional<Offset> saved_in_kafka{};
    Offset limit{offset_any};  // nothing is sent at or behind it
    // Records that Kafka refuses for good and that were set aside, rising: never sent.
    std::deque<OffsetRange> poison{};
    // What was refused since the partition stood still, and how much goes together because of that.
    Refusal refusal{};
    RunLimit run{};
    bool is_held = false;  // a record of it is being set aside
    // exactly_once:
    bool is_ready = true;            // it is known where to go on
    bool is_committed_here = false;  // by this process
    std::optional<Instant> committed_at{};
    std::string record_id;  // `mp.id`: a prefix, then the offset of the record at hand
    std::size_t record_id_prefix = 0;
};

// Which partitions one of several producers takes care of: every `count`th, by PartitionId.
struct LanePlace {
    std::size_t index = 0;
    std::size_t count = 1;
};

// One topic: its partitions go, stop and are tried again together.
struct ForwardTopic {
    std::string name;
    std::int32_t partitions = 0;  // of the log
    TopicState state = TopicState::unchecked;
    std::optional<upstream::TopicId> id{};  // while there is a producer
    std::int32_t upstream_partitions = 0;   // 0: not known
    std::uint64_t in_flight = 0;
    std::int64_t weight = 1;
    Backoff backoff;
    Instant retry_at{};
    std::string problem{};
    Timestamp problem_since = timestamp_none;
    bool problem_with_records = false;  // over when a record is confirmed
    // Only this partition sends, by its place in ForwardTable::partitions().
    std::optional<std::size_t> alone{};

    // Upstream has another number of partitions: a batch may have records of several of ours.
    [[nodiscard]] bool is_mixed() const { return partitions != upstream_partitions; }
};

// All topics and partitions of the log, and how far each is. Used by one thread.
class ForwardTable {
public:
    struct Rules {
        LanePlace place{};
        bool is_position_upstream = false;  // partitions are ready when Kafka was asked
        std::map<std::string, Priority, std::less<>> priorities{};  // of topics; others: normal
    };

    // `id_prefix`: `<gateway id>/<log id>/`.
    ForwardTable(std::string id_prefix, std::uint64_t seed, Rules rules);

    ForwardTable(std::string id_prefix, std::uint64_t seed)
        : ForwardTable(std::move(id_prefix), seed, Rules{}) {}

    // Where to begin, for partitions that the log has or will have. Before the first refresh.
    void load(std::span<const storage::ForwardPosition> positions);
    // Records that an earlier process set aside. Before the first refresh.
    void load_poison(std::span<const storage::Gap> gaps);
    // The record is never sent; it counts as passed.
    void add_poison(storage::PartitionId partition, Offset offset);
    // The first offset at or behind `offset` that is to be sent.
    [[nodiscard]] static Offset behind_poison(ForwardPartition& partition, Offset offset);
    // Takes in partitions that the log has got since the last time; a new one begins at its stored
    // position, or where the log says.
    void refresh(storage::Log& log);

    [[nodiscard]] std::vector<ForwardTopic>& topics() { return topics_; }

    [[nodiscard]] const std::vector<ForwardTopic>& topics() const { return topics_; }

    // By PartitionId.
    [[nodiscard]] std::vector<ForwardPartition>& partitions() { return partitions_; }

    [[nodiscard]] const std::vector<ForwardPartition>& partitions() const { return partitions_; }

    [[nodiscard]] ForwardPartition& operator[](storage::PartitionId id) {
        return partitions_[id.value()];
    }

    [[nodiscard]] ForwardTopic& topic_of(const ForwardPartition& partition) {
        return topics_[partition.topic];
    }

    [[nodiscard]] std::uint64_t seed() const { return seed_; }

    [[nodiscard]] std::uint64_t in_flight() const;

    // May records of the partition be sent now?
    [[nodiscard]] bool may_send(const ForwardPartition& partition) const {
        const auto& topic = topics_[partition.topic];
        return partition.ours && partition.is_ready && !partition.is_held &&
               topic.state == TopicState::forwarding &&
               (!topic.alone || &partition == &partitions_[*topic.alone]);
    }

    // What was confirmed without a gap is forwarded.
    void take_confirmed();
    // Nothing of the topic is in flight any more: back to what was confirmed.
    void rewind(std::size_t topic);
    // Nothing that was sent counts: back to what was forwarded.
    void forget_sent();
    // The producer is gone, and with it everything that was in flight.
    void forget_producer();

    // Tells the log how far each partition is.
    void publish(storage::Log& log);
    // Positions that the store does not have yet; mark_saved when it has them.
    [[nodiscard]] std::vector<storage::ForwardPosition> unsaved() const;
    void mark_saved(std::span<const storage::ForwardPosition> positions);

private:
    std::size_t topic_index(std::string_view name, const storage::Log& log);
    [[nodiscard]] std::deque<OffsetRange> poison_of(const storage::TopicPartition& name) const;

    std::string id_prefix_;
    std::uint64_t seed_;
    Rules rules_;
    std::map<storage::TopicPartition, storage::ForwardPosition> stored_;
    std::map<storage::TopicPartition, std::vector<OffsetRange>> stored_poison_;
    std::vector<ForwardTopic> topics_;
    std::vector<ForwardPartition> partitions_;
};

}  // namespace milepost::forward
