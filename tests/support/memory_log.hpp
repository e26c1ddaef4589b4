#pragma once

#include "storage/base/check.hpp"
#include "storage/format/batch_builder.hpp"
#include "storage/log/dead_letters.hpp"
#include "storage/log/errc.hpp"
#include "storage/log/log.hpp"

#include <algorithm>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace milepost::test {

// A log in memory for tests of its readers: what is added is durable at once. Any thread.
class MemoryLog final : public storage::Log {
public:
    explicit MemoryLog(std::string log_id = "00000000000000aa")
        : log_id_(std::move(log_id)) {}

    // Adds a batch with `count` records: key and value as given plus the offset, one header.
    struct Batch {
        std::string_view key = "k";
        std::string_view value = "v";
        std::int32_t count = 1;
        Timestamp timestamp{};
        storage::Codec codec = storage::Codec::none;
    };

    void add(storage::PartitionId id, const Batch& batch) {
        std::function<void()> notice;
        {
            const std::lock_guard lock{mutex_};
            auto& partition = partitions_[id.value()];
            storage::BatchBuilder builder;
            builder.start(partition.positions.durable);
            const Bytes header_value = as_bytes("text/plain");
            const storage::HeaderView header{.name = "content-type", .value = header_value};
            for (std::int32_t i = 0; i < batch.count; ++i) {
                const std::string value = std::string{batch.value} +
                                          std::to_string(builder.next_offset().value());
                builder.add(storage::RecordView{
                    .timestamp = batch.timestamp,
                    .key = as_bytes(batch.key),
                    .value = as_bytes(value),
                    .headers = {&header, 1},
                });
            }
            Stored stored{.base = builder.base_offset(), .next = builder.next_offset()};
            MILEPOST_CHECK(builder.finish(batch.codec, stored.bytes).has_value());
            partition.positions.durable = stored.next;
            partition.positions.appended = stored.next;
            partition.batches.push_back(std::move(stored));
            notice = notice_;
        }
        if (notice) notice();
    }

    // A hole: `count` offsets that nobody can read.
    void add_hole(storage::PartitionId id, std::int64_t count) {
        const std::lock_guard lock{mutex_};
        auto& positions = partitions_[id.value()].positions;
        positions.durable += count;
        positions.appended = positions.durable;
    }

    // The last batch rots: its reader finds a wrong CRC.
    void rot_last(storage::PartitionId id) {
        const std::lock_guard lock{mutex_};
        partitions_[id.value()].batches.back().bytes.back() ^= std::byte{1};
    }

    void drop_below(storage::PartitionId id, storage::Offset start) {
        const std::lock_guard lock{mutex_};
        auto& partition = partitions_[id.value()];
        std::erase_if(partition.batches, [&](const Stored& batch) { return batch.next <= start; });
        partition.positions.start = start;
        partition.positions.forwarded = std::max(partition.positions.forwarded, start);
    }

    Result<std::vector<storage::PartitionId>> ensure_topic(
        std::string_view topic,
        std::int32_t partitions
    ) override {
        const std::lock_guard lock{mutex_};
        std::vector<storage::PartitionId> ids;
        for (std::uint32_t i = 0; i < partitions_.size(); ++i) {
            if (partitions_[i].name.topic == topic) ids.emplace_back(i);
        }
        if (!ids.empty()) return ids;
        for (std::int32_t i = 0; i < partitions; ++i) {
            ids.emplace_back(static_cast<std::uint32_t>(partitions_.size()));
            partitions_.push_back(Partition{.name = {std::string{topic}, i}});
        }
        return ids;
    }

    [[nodiscard]] std::vector<storage::PartitionId> partitions() const override {
        const std::lock_guard lock{mutex_};
        std::vector<storage::PartitionId> ids;
        for (std::uint32_t i = 0; i < partitions_.size(); ++i) {
            ids.emplace_back(i);
        }
        return ids;
    }

    [[nodiscard]] const storage::TopicPartition& name(storage::PartitionId id) const override {
        const std::lock_guard lock{mutex_};
        return partitions_[id.value()].name;
    }

    [[nodiscard]] std::optional<storage::PartitionId> find(const storage::TopicPartition& name
    ) const override {
        const std::lock_guard lock{mutex_};
        for (std::uint32_t i = 0; i < partitions_.size(); ++i) {
            if (partitions_[i].name == name) return storage::PartitionId{i};
        }
        return std::nullopt;
    }

    [[nodiscard]] std::optional<Duration> flight() const override { return std::nullopt; }

    [[nodiscard]] Instant paced_until() const override { return {}; }

    void commit() override {
        std::function<void()> notice;
        {
            const std::lock_guard lock{mutex_};
            if (!syncs_) return;
            for (auto& partition : partitions_)
                partition.positions.durable = partition.positions.appended;
            notice = notice_;
        }
        if (notice) notice();
    }

    // While off, what is appended does not become durable.
    void set_syncs(bool syncs) {
        const std::lock_guard lock{mutex_};
        syncs_ = syncs;
    }

    [[nodiscard]] storage::Positions positions(storage::PartitionId id) const override {
        const std::lock_guard lock{mutex_};
        return partitions_[id.value()].positions;
    }

    void set_forwarded(storage::PartitionId id, storage::Offset forwarded) override {
        const std::lock_guard lock{mutex_};
        auto& positions = partitions_[id.value()].positions;
        positions.forwarded = std::clamp(forwarded, positions.forwarded, positions.durable);
    }

    Result<storage::ReadResult> read(
        storage::PartitionId id,
        storage::Offset from,
        std::size_t bytes_max,
        Buffer& buffer
    ) override {
        const std::lock_guard lock{mutex_};
        const auto& partition = partitions_[id.value()];
        buffer.clear();
        storage::ReadResult result{.first = from, .next = from, .batches = {}};
        for (const auto& batch : partition.batches) {
            if (batch.next <= from) continue;
            if (!buffer.empty() && batch.base != result.next) break;
            if (!buffer.empty() && buffer.size() + batch.bytes.size() > bytes_max) break;
            if (buffer.empty()) result.first = batch.base;
            append_bytes(buffer, batch.bytes);
            result.next = batch.next;
        }
        if (buffer.empty()) result.next = partition.positions.durable;
        result.batches = buffer;
        return result;
    }

    Result<storage::Offset> find_timestamp(storage::PartitionId id, Timestamp) override {
        return positions(id).start;
    }

    void set_durable_notice(std::function<void()> notice) override {
        const std::lock_guard lock{mutex_};
        notice_ = std::move(notice);
    }

    [[nodiscard]] const storage::LogStats& stats() const override { return stats_; }

    [[nodiscard]] const storage::LogConfig& config() const override { return config_; }

    // Before the log has readers.
    [[nodiscard]] storage::LogConfig& config() { return config_; }

    [[nodiscard]] std::string_view log_id() const override { return log_id_; }

    [[nodiscard]] std::string intake_reason() const override { return {}; }

    Result<void> close() override { return {}; }

    using storage::Log::append;

    Result<storage::Offset> append(
        storage::PartitionId id,
        const storage::RecordView& record,
        std::optional<AckToken> /*token*/,
        const storage::SessionChange& /*change*/
    ) override {
        const std::lock_guard lock{mutex_};
        auto& partition = partitions_[id.value()];
        const bool takes = intake_ == storage::IntakeState::open ||
                           (intake_ == storage::IntakeState::disk_reserve &&
                            storage::is_dead_letter_topic(partition.name.topic));
        if (!takes) return storage::LogErrc::intake_closed;
        storage::BatchBuilder builder;
        builder.start(partition.positions.appended);
        const auto given = builder.add(record);
        Stored stored{.base = builder.base_offset(), .next = builder.next_offset()};
        MILEPOST_CHECK(builder.finish(storage::Codec::none, stored.bytes).has_value());
        partition.positions.appended = stored.next;
        partition.batches.push_back(std::move(stored));
        return given;
    }

    Result<void> append_change(const storage::SessionChange&, std::optional<AckToken>) override {
        return {};
    }

    Result<void> append_session(std::string_view, Bytes, std::optional<AckToken>) override {
        return {};
    }

    void append_token(AckToken) override {}

    [[nodiscard]] storage::IntakeState intake() const override {
        const std::lock_guard lock{mutex_};
        return intake_;
    }

    // append() follows it, add() does not.
    void set_intake(storage::IntakeState state) {
        const std::lock_guard lock{mutex_};
        intake_ = state;
    }

    [[nodiscard]] std::size_t open_group_bytes() const override { return 0; }

private:
    struct Stored {
        storage::Offset base;
        storage::Offset next;
        Buffer bytes{};
    };

    struct Partition {
        storage::TopicPartition name;
        storage::Positions positions{};
        std::vector<Stored> batches{};
    };

    mutable std::mutex mutex_;
    std::string log_id_;
    std::vector<Partition> partitions_;
    bool syncs_ = true;
    storage::IntakeState intake_ = storage::IntakeState::open;
    std::function<void()> notice_;
    storage::LogStats stats_;
    storage::LogConfig config_;
};

}  // namespace milepost::test
