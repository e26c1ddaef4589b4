#pragma once

#include "storage/base/check.hpp"
#include "storage/format/offsets.hpp"
#include "storage/log/appender.hpp"
#include "storage/log/partition.hpp"

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

namespace milepost::storage {

inline constexpr std::size_t partitions_max = 4096;

// All partitions of a log, dense by id, never removed while it is open. One thread adds; any thread
// looks up, without a lock where it has an id.
class PartitionSet {
public:
    PartitionId add(std::unique_ptr<Partition> partition) {
        const std::lock_guard guard{mutex_};
        const std::size_t at = count_.load(std::memory_order_relaxed);
        MILEPOST_CHECK(at < partitions_max);
        const PartitionId id{static_cast<std::uint32_t>(at)};
        by_name_.emplace(partition->name(), id);
        partitions_[at] = std::move(partition);
        count_.store(at + 1, std::memory_order_release);
        return id;
    }

    [[nodiscard]] std::size_t size() const { return count_.load(std::memory_order_acquire); }

    [[nodiscard]] bool has(PartitionId id) const { return id.value() < size(); }

    [[nodiscard]] Partition& operator[](PartitionId id) { return *partitions_[id.value()]; }

    [[nodiscard]] const Partition& operator[](PartitionId id) const {
        return *partitions_[id.value()];
    }

    [[nodiscard]] std::optional<PartitionId> find(const TopicPartition& name) const {
        const std::lock_guard guard{mutex_};
        const auto found = by_name_.find(name);
        if (found == by_name_.end()) return std::nullopt;
        return found->second;
    }

    [[nodiscard]] std::vector<PartitionId> ids() const {
        std::vector<PartitionId> all;
        for (std::uint32_t i = 0; i < size(); ++i)
            all.push_back(PartitionId{i});
        return all;
    }

private:
    std::array<std::unique_ptr<Partition>, partitions_max> partitions_;
    std::atomic<std::size_t> count_{0};
    mutable std::mutex mutex_;  // guards by_name_
    std::map<TopicPartition, PartitionId> by_name_;
};

}  // namespace milepost::storage
