#pragma once

#include "gateway/upstream/client_settings.hpp"
#include "gateway/upstream/consumer.hpp"
#include "storage/base/result.hpp"
#include "storage/base/time.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace milepost::upstream {

// One partition, read from an offset on.
class PartitionReader {
public:
    PartitionReader() = default;
    PartitionReader(const PartitionReader&) = delete;
    PartitionReader& operator=(const PartitionReader&) = delete;
    virtual ~PartitionReader() = default;

    // The next records, offsets rising; valid until the next call. None: nothing came in
    // `wait_max`, or only what nobody may see.
    virtual Result<std::span<const ConsumedRecord>> read(Duration wait_max) = 0;

    // Everything below it was given, or nobody may see it (aborted, a transaction's marker).
    [[nodiscard]] virtual std::int64_t position() const = 0;
};

struct PartitionEnds {
    std::int64_t start = 0;
    std::int64_t end = 0;  // below it every transaction is decided
};

// Reads partitions of the upstream one by one, read_committed, without a consumer group: it leaves
// no trace there. Calls block for some seconds at most. Thread: one.
class TopicReader {
public:
    TopicReader() = default;
    TopicReader(const TopicReader&) = delete;
    TopicReader& operator=(const TopicReader&) = delete;
    virtual ~TopicReader() = default;

    // Of the whole cluster, the same for ever; empty if the brokers do not say.
    virtual std::string cluster_id() = 0;
    // An error of Fault::topic: it is missing or forbidden.
    virtual Result<std::int32_t> partitions(const std::string& topic) = 0;
    virtual Result<PartitionEnds> ends(const std::string& topic, std::int32_t partition) = 0;
    // The first offset whose record is not older; nullopt: there is none.
    virtual Result<std::optional<std::int64_t>> find_timestamp(
        const std::string& topic,
        std::int32_t partition,
        Timestamp timestamp
    ) = 0;
    // Ends before the reader. An offset that is not there any more is an error of read().
    virtual Result<std::unique_ptr<PartitionReader>> start(
        const std::string& topic,
        std::int32_t partition,
        std::int64_t offset
    ) = 0;
};

// `read_ahead_bytes`: of each partition, in memory, beside one response of the broker. `problem`
// says in words which setting librdkafka does not take.
[[nodiscard]] Result<std::unique_ptr<TopicReader>> make_rdkafka_topic_reader(
    const ClientSettings& settings,
    std::size_t read_ahead_bytes,
    std::string& problem
);

}  // namespace milepost::upstream
