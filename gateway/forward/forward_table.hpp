#pragma once

#include "gateway/forward/backoff.hpp"
#include "gateway/forward/forward_status.hpp"
#include "gateway/forward/forward_window.hpp"
#include "gateway/upstream/producer.hpp"
#include "storage/base/time.hpp"
#include "storage/log/log.hpp"
#include "storage/meta/position_store.hpp"

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace milepost::forward {

// One partition of the log on its way upstream.
struct ForwardPartition {
    storage::TopicPartition name;
    std::size_t topic = 0;  // its place in ForwardTable::topics()
    ForwardWindow window;
    std::uint64_t bytes_in_flight = 0;
    Offset published;       // what the log was told
    Offset saved;           // what the position store has
    std::string record_id;  // `mp.id`: a prefix, then the offset of the record at hand
    std::size_t record_id_prefix = 0;
};

// One topic: its partitions go, stop and are tried again together.
struct ForwardTopic {
    std::string name;
    std::int32_t partitions = 0;  // of the log
    TopicState state = TopicState::unchecked;
    std::optional<upstream::TopicId> id{};  // while there is a producer
    std::int32_t upstream_partitions = 0;   // 0: not known
    std::uint64_t in_flight = 0;
    Backoff backoff;
    Instant retry_at{};
    std::string problem{};
    Timestamp problem_since = timestamp_none;
    bool problem_with_records = false;  // over when a record is confirmed
};

// All topics and partitions of the log, and how far each is. Used by one thread.
class ForwardTable {
public:
    // `id_prefix`: `<gateway id>/<log id>/`.
    ForwardTable(std::string id_prefix, std::uint64_t seed);

    // Where to begin, for partitions that the log has or will have. Before the first refresh.
    void load(std::span<const storage::ForwardPosition> positions);
    // Takes in partitions that the log has got since the last time; a new one begins at its stored
    // position, or where the log says.
    void refresh(storage::Log& log);

    [[nodiscard]] std::vector<ForwardTopic>& topics() { return topics_; }

    [[nodiscard]] const std::vector<ForwardTopic>& topics() const { return topics_; }

    // By PartitionId.
    [[nodiscard]] std::vector<ForwardPartition>& partitions() { return partitions_; }

    [[nodiscard]] ForwardPartition& operator[](storage::PartitionId id) {
        return partitions_[id.value()];
    }

    [[nodiscard]] ForwardTopic& topic_of(const ForwardPartition& partition) {
        return topics_[partition.topic];
    }

    // Nothing of the topic is in flight any more: back to what was confirmed.
    void rewind(std::size_t topic);
    // The producer is gone, and with it everything that was in flight.
    void forget_in_flight();

    // Tells the log how far each partition is.
    void publish(storage::Log& log);
    // Positions that the store does not have yet; mark_saved when it has them.
    [[nodiscard]] std::vector<storage::ForwardPosition> unsaved() const;
    void mark_saved(std::span<const storage::ForwardPosition> positions);

private:
    std::size_t topic_index(std::string_view name);

    std::string id_prefix_;
    std::uint64_t seed_;
    std::map<storage::TopicPartition, Offset> stored_;
    std::vector<ForwardTopic> topics_;
    std::vector<ForwardPartition> partitions_;
};

}  // namespace milepost::forward
