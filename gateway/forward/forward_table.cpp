#include "gateway/forward/forward_table.hpp"

#include "storage/base/check.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

namespace milepost::forward {

namespace {

constexpr std::chrono::milliseconds topic_retry_first{500};
constexpr std::chrono::seconds topic_retry_most{30};

}  // namespace

std::string_view topic_state_name(TopicState state) {
    switch (state) {
        case TopicState::unchecked: return "unchecked";
        case TopicState::forwarding: return "forwarding";
        case TopicState::draining: return "draining";
        case TopicState::waiting: return "waiting";
        case TopicState::local: return "local";
    }
    return "unknown";
}

ForwardTable::ForwardTable(std::string id_prefix, std::uint64_t seed, Rules rules)
    : id_prefix_(std::move(id_prefix))
    , seed_(seed)
    , rules_(std::move(rules)) {}

void ForwardTable::load(std::span<const storage::ForwardPosition> positions) {
    for (const auto& position : positions) {
        stored_.insert_or_assign(position.partition, position);
    }
}

void ForwardTable::load_poison(std::span<const storage::Gap> gaps) {
    for (const auto& gap : gaps)
        stored_poison_[gap.partition].push_back({gap.first, gap.end});
}

void ForwardTable::add_poison(storage::PartitionId id, Offset offset) {
    auto& ranges = (*this)[id].poison;
    const auto after = std::find_if(ranges.begin(), ranges.end(), [&](const OffsetRange& range) {
        return range.first > offset;
    });
    ranges.insert(after, {offset, offset + 1});
}

Offset ForwardTable::behind_poison(ForwardPartition& partition, Offset offset) {
    auto& ranges = partition.poison;
    while (!ranges.empty() && ranges.front().end <= partition.forwarded)
        ranges.pop_front();
    for (const auto& range : ranges) {
        if (range.first > offset) break;
        offset = std::max(offset, range.end);
    }
    return offset;
}

std::size_t ForwardTable::topic_index(std::string_view name, const storage::Log& log) {
    const auto found = std::find_if(topics_.begin(), topics_.end(), [&](const auto& topic) {
        return topic.name == name;
    });
    if (found != topics_.end()) return static_cast<std::size_t>(found - topics_.begin());
    const auto priority = rules_.priorities.find(name);
    const bool is_local = !log.config().forwards_topic(name);
    topics_.push_back(ForwardTopic{
        .name = std::string{name},
        .state = is_local ? TopicState::local : TopicState::unchecked,
        .weight =
            weight_of(priority == rules_.priorities.end() ? Priority::normal : priority->second),
        .backoff = Backoff{topic_retry_first, topic_retry_most, seed_ + topics_.size()},
    });
    return topics_.size() - 1;
}

std::deque<OffsetRange> ForwardTable::poison_of(const storage::TopicPartition& name) const {
    const auto found = stored_poison_.find(name);
    if (found == stored_poison_.end()) return {};
    auto ranges = found->second;
    std::sort(ranges.begin(), ranges.end(), [](const OffsetRange& a, const OffsetRange& b) {
        return a.first < b.first;
    });
    return {ranges.begin(), ranges.end()};
}

void ForwardTable::refresh(storage::Log& log) {
    const std::size_t count = log.partitions().size();
    for (std::size_t i = partitions_.size(); i < count; ++i) {
        const storage::PartitionId id{static_cast<std::uint32_t>(i)};
        const auto& name = log.name(id);
        const auto positions = log.positions(id);
        Offset begin = positions.forwarded;
        std::optional<Offset> in_kafka{
            Offset{0}};  // all that is known is what is sent from here on
        const auto stored = stored_.find(name);
        if (stored != stored_.end()) {
            // Behind durable cannot be, short of a folder restored from an old copy.
            begin = std::clamp(stored->second.forwarded, begin, positions.durable);
            in_kafka = stored->second.in_kafka;
        }
        const bool ours = i % rules_.place.count == rules_.place.index &&
                          log.config().forwards_topic(name.topic);
        if (ours) log.set_forwarded(id, begin);
        std::string record_id = id_prefix_ + name.topic + "-" + std::to_string(name.partition) +
                                "/";
        const std::size_t prefix = record_id.size();
        const std::size_t topic = topic_index(name.topic, log);
        ++topics_[topic].partitions;
        partitions_.push_back(ForwardPartition{
            .name = name,
            .topic = topic,
            .ours = ours,
            .is_stored = stored != stored_.end(),
            .window = ForwardWindow{begin},
            .forwarded = begin,
            .published = begin,
            .in_kafka = in_kafka,
            .saved = begin,
            .saved_in_kafka = in_kafka,
            .poison = poison_of(name),
            .is_ready = !rules_.is_position_upstream,
            .record_id = std::move(record_id),
            .record_id_prefix = prefix,
        });
    }
}

void ForwardTable::rewind(std::size_t topic) {
    MILEPOST_CHECK(topics_[topic].in_flight == 0);
    for (auto& partition : partitions_) {
        if (partition.topic == topic) partition.window.rewind();
    }
}

void ForwardTable::take_confirmed() {
    for (auto& partition : partitions_) {
        partition.forwarded = partition.window.confirmed();
    }
}

void ForwardTable::forget_sent() {
    for (auto& partition : partitions_) {
        partition.window = ForwardWindow{partition.forwarded};
        partition.bytes_in_flight = 0;
    }
    for (auto& topic : topics_) {
        topic.in_flight = 0;
    }
}

void ForwardTable::forget_producer() {
    forget_sent();
    for (auto& topic : topics_) {
        topic.id.reset();
    }
}

std::uint64_t ForwardTable::in_flight() const {
    std::uint64_t records = 0;
    for (const auto& topic : topics_) {
        records += topic.in_flight;
    }
    return records;
}

void ForwardTable::publish(storage::Log& log) {
    for (std::size_t i = 0; i < partitions_.size(); ++i) {
        auto& partition = partitions_[i];
        if (!partition.ours || partition.forwarded == partition.published) continue;
        log.set_forwarded(storage::PartitionId{static_cast<std::uint32_t>(i)}, partition.forwarded);
        partition.published = partition.forwarded;
    }
}

std::vector<storage::ForwardPosition> ForwardTable::unsaved() const {
    std::vector<storage::ForwardPosition> positions;
    for (const auto& partition : partitions_) {
        if (!partition.ours) continue;
        if (partition.forwarded == partition.saved &&
            partition.in_kafka == partition.saved_in_kafka) {
            continue;
        }
        positions.push_back(
            {.partition = partition.name,
             .forwarded = partition.forwarded,
             .in_kafka = partition.in_kafka}
        );
    }
    return positions;
}

void ForwardTable::mark_saved(std::span<const storage::ForwardPosition> positions) {
    for (const auto& position : positions) {
        const auto found = std::find_if(partitions_.begin(), partitions_.end(), [&](const auto& p) {
            return p.ours && p.name == position.partition;
        });
        if (found == partitions_.end()) continue;
        found->saved = position.forwarded;
        found->saved_in_kafka = position.in_kafka;
    }
}

}  // namespace milepost::forward
