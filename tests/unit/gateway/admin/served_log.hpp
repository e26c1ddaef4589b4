#pragma once

#include "storage/format/batch_builder.hpp"
#include "storage/log/log.hpp"

#include <map>
#include <mutex>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace milepost::test {

// A log in memory that can be served: a batch per put(), durable at once, and anything it says
// about itself can be set.
class ServedLog : public storage::Log {
public:
    // Appends records to a partition, which is made when it is new; one batch.
    void put(
        const std::string& topic,
        std::int32_t partition,
        const std::vector<std::pair<std::string, std::string>>& keys_and_values,
        Timestamp timestamp = Timestamp{1'000}
    ) {
        const std::scoped_lock lock{mutex_};
        auto& part = make(topic, partition);
        storage::BatchBuilder builder;
        builder.start(part.positions.durable);
        for (const auto& [key, value] : keys_and_values) {
            const storage::HeaderView header{"mqtt.retain", as_bytes("1")};
            builder.add(
                {.timestamp = timestamp,
                 .key = as_bytes(key),
                 .value = as_bytes(value),
                 .headers = std::span{&header, 1}}
            );
        }
        const Bytes plain = builder.finish_plain();
        part.batches.emplace_back(builder.next_offset(), Buffer{plain.begin(), plain.end()});
        part.positions.durable = builder.next_offset();
        part.positions.appended = builder.next_offset();
    }

    void make_partition(const std::string& topic, std::int32_t partition) {
        const std::scoped_lock lock{mutex_};
        make(topic, partition);
    }

    storage::LogStats stats_now;
    storage::LogConfig config_now;
    storage::IntakeState intake_now = storage::IntakeState::open;

    using storage::Log::append;

    Result<storage::Offset> append(
        storage::PartitionId /*partition*/,
        const storage::RecordView& /*record*/,
        std::optional<AckToken> /*token*/,
        const storage::SessionChange& /*change*/
    ) override {
        throw std::logic_error{"not in this test"};
    }

    Result<void> append_change(const storage::SessionChange&, std::optional<AckToken>) override {
        throw std::logic_error{"not in this test"};
    }

    Result<void> append_session(std::string_view, Bytes, std::optional<AckToken>) override {
        throw std::logic_error{"not in this test"};
    }

    void append_token(AckToken) override {}

    [[nodiscard]] storage::IntakeState intake() const override { return intake_now; }

    [[nodiscard]] std::size_t open_group_bytes() const override { return 0; }

    Result<std::vector<storage::PartitionId>> ensure_topic(std::string_view, std::int32_t)
        override {
        throw std::logic_error{"not in this test"};
    }

    [[nodiscard]] std::vector<storage::PartitionId> partitions() const override {
        const std::scoped_lock lock{mutex_};
        std::vector<storage::PartitionId> ids;
        for (std::uint32_t i = 0; i < parts_.size(); ++i)
            ids.emplace_back(i);
        return ids;
    }

    [[nodiscard]] const storage::TopicPartition& name(storage::PartitionId id) const override {
        const std::scoped_lock lock{mutex_};
        return parts_[id.value()]->name;
    }

    [[nodiscard]] std::optional<storage::PartitionId> find(const storage::TopicPartition& name
    ) const override {
        const std::scoped_lock lock{mutex_};
        for (std::uint32_t i = 0; i < parts_.size(); ++i) {
            if (parts_[i]->name == name) return storage::PartitionId{i};
        }
        return std::nullopt;
    }

    void commit() override {}

    [[nodiscard]] std::optional<Duration> flight() const override { return std::nullopt; }

    [[nodiscard]] Instant paced_until() const override { return {}; }

    [[nodiscard]] storage::Positions positions(storage::PartitionId id) const override {
        const std::scoped_lock lock{mutex_};
        return parts_[id.value()]->positions;
    }

    void set_forwarded(storage::PartitionId id, storage::Offset forwarded) override {
        const std::scoped_lock lock{mutex_};
        parts_[id.value()]->positions.forwarded = forwarded;
    }

    Result<storage::ReadResult> read(
        storage::PartitionId id,
        storage::Offset from,
        std::size_t bytes_max,
        Buffer& buffer
    ) override {
        const std::scoped_lock lock{mutex_};
        const auto& part = *parts_[id.value()];
        if (from < part.positions.start || from > part.positions.durable) {
            return ErrorCode{34, boost::system::generic_category()};
        }
        buffer.clear();
        storage::ReadResult result{.first = from, .next = from, .batches = {}};
        for (const auto& [next, batch] : part.batches) {
            if (next <= from) continue;
            if (!buffer.empty() && buffer.size() + batch.size() > bytes_max) break;
            append_bytes(buffer, batch);
            result.next = next;
        }
        result.batches = buffer;
        return result;
    }

    Result<storage::Offset> find_timestamp(storage::PartitionId id, Timestamp timestamp) override {
        const auto at = positions(id);
        return timestamp <= Timestamp{1'000} ? at.start : at.durable;
    }

    void set_durable_notice(std::function<void()>) override {}

    [[nodiscard]] const storage::LogStats& stats() const override { return stats_now; }

    [[nodiscard]] const storage::LogConfig& config() const override { return config_now; }

    [[nodiscard]] std::string_view log_id() const override { return "0123456789abcdef"; }

    [[nodiscard]] std::string intake_reason() const override { return ""; }

    Result<void> close() override { return {}; }

private:
    struct Part {
        storage::TopicPartition name;
        storage::Positions positions;
        std::vector<std::pair<storage::Offset, Buffer>> batches;
    };

    Part& make(const std::string& topic, std::int32_t partition) {
        for (auto& part : parts_) {
            if (part->name == storage::TopicPartition{topic, partition}) return *part;
        }
        parts_.push_back(std::make_unique<Part>(Part{{topic, partition}, {}, {}}));
        return *parts_.back();
    }

    mutable std::mutex mutex_;
    std::vector<std::unique_ptr<Part>> parts_;
};

}  // namespace milepost::test
