#include "gateway/forward/feeder.hpp"

#include "gateway/upstream/rdkafka_producer.hpp"
#include "storage/base/check.hpp"
#include "storage/base/units.hpp"

#include <algorithm>
#include <charconv>
#include <string_view>

namespace milepost::forward {

namespace {

constexpr unsigned offset_bits = 40;
constexpr std::uint64_t offset_mask = (std::uint64_t{1} << offset_bits) - 1;
constexpr std::size_t number_text_bytes = 20;

constexpr std::size_t chunk_bytes_min = 16 * kib;
constexpr std::size_t chunk_bytes_max = 128 * kib;
constexpr std::size_t records_per_feed = 20'000;
constexpr std::int64_t late_ms = 60'000;
constexpr std::size_t record_cost_bytes = 64;  // what a record costs besides its bytes

std::size_t write_number(std::array<char, number_text_bytes>& text, std::int64_t number) {
    const auto written = std::to_chars(text.data(), text.data() + text.size(), number);
    return static_cast<std::size_t>(written.ptr - text.data());
}

}  // namespace

std::uint64_t tag_of(storage::PartitionId partition, Offset offset) {
    return (std::uint64_t{partition.value()} << offset_bits) |
           (static_cast<std::uint64_t>(offset.value()) & offset_mask);
}

storage::PartitionId partition_of(std::uint64_t tag) {
    return storage::PartitionId{static_cast<std::uint32_t>(tag >> offset_bits)};
}

Offset offset_of(std::uint64_t tag, Offset confirmed) {
    const std::uint64_t ahead = ((tag & offset_mask) - static_cast<std::uint64_t>(confirmed.value())
                                ) &
                                offset_mask;
    return confirmed + static_cast<std::int64_t>(ahead);
}

Offset Feeder::end_of(const ForwardPartition& partition, std::size_t index) const {
    const storage::PartitionId id{static_cast<std::uint32_t>(index)};
    return std::min(log_.positions(id).durable, partition.limit);
}

bool Feeder::has_more(ForwardTable& table) {
    const auto& partitions = table.partitions();
    for (std::size_t i = 0; i < partitions.size(); ++i) {
        if (!table.may_send(partitions[i])) continue;
        if (partitions[i].window.next() < end_of(partitions[i], i)) return true;
    }
    return false;
}

// Half of the queue is shared out among the partitions that have something to send, by the weights
// of their topics: what a chunk brings beyond a share then still leaves room for the others.
Feeder::Share Feeder::share(ForwardTable& table) {
    std::int64_t weights = 0;
    const auto& partitions = table.partitions();
    for (std::size_t i = 0; i < partitions.size(); ++i) {
        if (!table.may_send(partitions[i])) continue;
        const bool backlog = partitions[i].window.next() < end_of(partitions[i], i);
        if (backlog || partitions[i].window.in_flight() > 0) {
            weights += table.topic_of(partitions[i]).weight;
        }
    }
    const auto parts = static_cast<std::size_t>(std::max<std::int64_t>(weights, 1));
    return Share{
        .messages = limits_.queue_messages / 2 * Share::unit / parts,
        .bytes = limits_.queue_bytes / 2 * Share::unit / parts,
    };
}

double Feeder::turn_of(std::size_t topic) const {
    return topic < had_.size() ? std::max(had_[topic], had_least_) : had_least_;
}

// The partition to read of next; nullopt: none may send, or has anything.
std::optional<std::size_t> Feeder::choose(ForwardTable& table, const Share& share) {
    const auto& partitions = table.partitions();
    std::optional<std::size_t> chosen;
    for (std::size_t step = 0; step < partitions.size(); ++step) {
        const std::size_t at = (turn_ + step) % partitions.size();
        const auto& partition = partitions[at];
        if (!table.may_send(partition) || partition.window.next() >= end_of(partition, at))
            continue;
        const Share most = share.of(table.topic_of(partition).weight);
        const bool has_its_share = partition.window.in_flight() >= most.messages ||
                                   partition.bytes_in_flight >= most.bytes;
        if (has_its_share) {
            held_back_ = true;
            continue;
        }
        if (!chosen || turn_of(partition.topic) < turn_of(partitions[*chosen].topic)) chosen = at;
    }
    return chosen;
}

// Reads for the next partition that may send; without a record in the chunk afterwards there is
// none. On an error the partition is the one before turn_.
Result<void> Feeder::next_chunk(ForwardTable& table, const Share& share) {
    while (const auto at = choose(table, share)) {
        turn_ = *at + 1;
        auto& partition = table.partitions()[*at];
        auto& window = partition.window;
        had_least_ = turn_of(partition.topic);
        const storage::PartitionId id{static_cast<std::uint32_t>(*at)};
        const auto positions = log_.positions(id);
        // Readings were given up to make room (drop_oldest): the gap ledger has them.
        const Offset end = std::min(positions.durable, partition.limit);
        const auto pass_to = [&](Offset offset) {
            window.skip_to(std::max(std::min(offset, end), window.next()));
        };
        pass_to(positions.start);
        pass_to(ForwardTable::behind_poison(partition, window.next()));
        if (window.next() >= end) continue;
        const auto bytes = std::clamp(
            share.of(table.topic_of(partition).weight).bytes / 4,
            chunk_bytes_min,
            chunk_bytes_max
        );
        MILEPOST_TRY(chunk_.read(log_, id, window.next(), bytes));
        if (chunk_.record() != nullptr && chunk_.record()->offset < end) return {};
        pass_to(chunk_.end());  // nothing but a hole
        chunk_.drop();
    }
    return {};
}

ErrorCode Feeder::send_record(ForwardTable& table, upstream::Producer& producer, Timestamp wall) {
    const auto& record = *chunk_.record();
    auto& partition = table[chunk_.partition()];
    auto& topic = table.topic_of(partition);

    headers_.clear();
    storage::HeaderCursor cursor{record};
    while (const auto header = cursor.next()) {
        headers_.push_back(*header);
    }
    std::array<char, number_text_bytes> number{};
    partition.record_id.resize(partition.record_id_prefix);
    partition.record_id.append(number.data(), write_number(number, record.offset.value()));
    headers_.push_back({.name = "mp.id", .value = as_bytes(partition.record_id)});
    if (const auto age_ms = wall - record.timestamp; age_ms > late_ms) {
        const std::size_t length = write_number(number, age_ms / 1000);
        headers_.push_back({.name = "mp.late", .value = as_bytes({number.data(), length})});
    }

    const auto error = producer.produce(upstream::OutgoingRecord{
        .topic = *topic.id,
        .partition = topic.is_mixed() ? upstream::murmur2_partition(
                                            record.key.value_or(Bytes{}),
                                            topic.upstream_partitions
                                        )
                                      : partition.name.partition,
        .timestamp = record.timestamp,
        .key = record.key,
        .value = record.value,
        .headers = headers_,
        .tag = tag_of(chunk_.partition(), record.offset),
    });
    if (error) return error;

    const std::size_t bytes = record.key.value_or(Bytes{}).size() +
                              record.value.value_or(Bytes{}).size();
    partition.window.sent(record.offset);
    partition.bytes_in_flight += bytes;
    ++topic.in_flight;
    rate_.sent(1, bytes);
    throttle_.sent(now_, bytes);
    if (had_.size() <= partition.topic) had_.resize(table.topics().size(), 0);
    had_[partition.topic] = turn_of(partition.topic) +
                            static_cast<double>(bytes + record_cost_bytes) /
                                static_cast<double>(topic.weight);
    stats_.in_flight_records.add(1);
    stats_.in_flight_bytes.add(static_cast<std::int64_t>(bytes));
    return {};
}

void Feeder::send_chunk(
    ForwardTable& table,
    upstream::Producer& producer,
    Timestamp wall,
    Outcome& outcome
) {
    const auto chunk_partition = chunk_.partition();
    auto& partition = table[chunk_partition];
    const auto trouble = [&](const ErrorCode& error) {
        const std::string where = partition.name.topic + "-" +
                                  std::to_string(partition.name.partition) + " offset " +
                                  std::to_string(partition.window.next().value());
        outcome.trouble = {
            .topic = partition.topic,
            .error = error,
            .text = where + ": " + error.message()};
        chunk_.drop();
    };
    while (chunk_.record() != nullptr) {
        if (const auto wait = limits_.paces ? pause(now_) : Duration::zero();
            wait > Duration::zero()) {
            outcome.paced = wait;
            chunk_.drop();  // somebody else may be next then
            return;
        }
        if (chunk_.record()->offset >= partition.limit) {
            partition.window.skip_to(partition.limit);
            chunk_.drop();
            return;
        }
        const Offset offset = chunk_.record()->offset;
        if (ForwardTable::behind_poison(partition, offset) == offset) {
            if (const auto error = send_record(table, producer, wall)) {
                if (upstream::fault_of(error) == upstream::Fault::queue_full) {
                    outcome.queue_full = true;
                } else {
                    trouble(error);
                    outcome.trouble->record = {chunk_partition, offset};
                }
                return;
            }
            ++outcome.records;
        }
        if (const auto advanced = chunk_.advance(); !advanced) {
            trouble(advanced.error());
            return;
        }
    }
    partition.window.skip_to(
        std::max(std::min(chunk_.end(), partition.limit), partition.window.next())
    );
}

Feeder::Outcome Feeder::feed(
    ForwardTable& table,
    upstream::Producer& producer,
    Instant now,
    Timestamp wall
) {
    now_ = now;
    held_back_ = false;
    Outcome outcome;
    const Share share_now = share(table);
    while (outcome.records < records_per_feed) {
        if (chunk_.record() == nullptr) {
            const auto found = next_chunk(table, share_now);
            if (!found) {
                const auto& partition = table.partitions()[turn_ - 1];
                outcome.trouble = {
                    .topic = partition.topic,
                    .error = found.error(),
                    .text = "reading " + partition.name.topic + "-" +
                            std::to_string(partition.name.partition) + ": " +
                            found.error().message()};
                return outcome;
            }
            outcome.held_back = held_back_;
            if (chunk_.record() == nullptr) return outcome;
        }
        send_chunk(table, producer, wall, outcome);
        if (outcome.queue_full || outcome.trouble || outcome.paced) return outcome;
    }
    outcome.more = true;
    return outcome;
}

}  // namespace milepost::forward
