#pragma once

#include "storage/base/bytes.hpp"
#include "storage/base/time.hpp"
#include "storage/format/offsets.hpp"
#include "storage/log/keeper.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

// Where the tool reads a log: a running gateway over HTTP, or a stopped one's folder.
namespace milepost::tool {

struct PartitionFacts {
    storage::TopicPartition name;
    storage::Offset start;
    std::optional<storage::Offset> forwarded;  // nullopt: no upstream
    storage::Offset durable;
    double oldest_unsent_seconds = 0;  // only in Status

    [[nodiscard]] std::int64_t lag() const { return forwarded ? durable - *forwarded : 0; }
};

struct Count {
    std::string name;
    std::uint64_t count = 0;
};

struct UpstreamFacts {
    std::string bootstrap_servers;
    std::string delivery;
    std::string state;
    std::string reason;
    std::int64_t backlog_records = 0;
    std::optional<double> drain_seconds{};  // nullopt: it does not shrink
};

// A broker that is subscribed to.
struct BridgeFacts {
    std::string name;
    std::string url;
    std::string state;
    std::string last_error;      // also of an earlier connection
    bool waits_for_log = false;  // something was read and cannot be written at the moment
    std::vector<Count> counts;   // since the gateway's start
};

// What was written since the gateway's start, and what the disk may be written in its life.
struct WearFacts {
    std::string device;  // the whole device; empty: not known
    std::uint64_t device_bytes = 0;
    std::uint64_t journal_bytes = 0;
    std::uint64_t segment_bytes = 0;
    std::uint64_t endurance_bytes = 0;  // 0: not known
};

// Everything that `status` shows. What only a running gateway knows is empty for a folder.
struct Status {
    bool is_running = false;
    std::string version;
    std::string gateway_id;
    std::string log_id;
    std::int64_t uptime_s = 0;
    std::string intake;
    std::string intake_reason;
    std::vector<std::string> degraded;
    std::uint64_t ring_bytes = 0;
    std::int64_t ring_used_bytes = 0;
    std::int64_t log_bytes = 0;
    std::uint64_t log_limit_bytes = 0;
    std::int64_t connections = 0;
    std::uint64_t acked = 0;
    std::vector<Count> received;
    std::vector<Count> rejected;            // since the folder was made
    std::uint64_t accepted_by_bridges = 0;  // of the log's durable records
    WearFacts wear;
    std::optional<UpstreamFacts> upstream;
    std::vector<BridgeFacts> bridges{};
    std::vector<PartitionFacts> partitions;  // by topic and partition
    std::vector<storage::Gap> gaps;
    std::vector<std::string> notes;
};

// Whole record batches; the first may begin before the asked offset. Valid until the next read.
struct Chunk {
    storage::Offset next;  // read here next; the asked offset if there is nothing more
    storage::Offset start;
    storage::Offset durable;
    Bytes batches;
};

// All calls block and throw a Failure when they cannot go on.
class LogSource {
public:
    LogSource() = default;
    LogSource(const LogSource&) = delete;
    LogSource& operator=(const LogSource&) = delete;
    virtual ~LogSource() = default;

    virtual Status status() = 0;
    // By topic and partition; cheap.
    virtual std::vector<PartitionFacts> partitions() = 0;
    virtual Chunk read(
        const storage::TopicPartition& partition,
        storage::Offset from,
        std::size_t bytes_max
    ) = 0;
    // The first offset whose record is not older; durable if there is none.
    virtual storage::Offset find_timestamp(
        const storage::TopicPartition& partition,
        Timestamp timestamp
    ) = 0;
    // Waits for more at the end of this partition, for a moment or until there is some. False:
    // there will never be more (a stopped gateway).
    virtual bool wait(
        const storage::TopicPartition& partition,
        storage::Offset end,
        std::chrono::milliseconds at_most
    ) = 0;
};

[[nodiscard]] std::unique_ptr<LogSource> open_gateway(const std::string& url);
// Takes the folder's lock and writes nothing. A Failure (exit_nothing_there) if there is no log or
// it is locked.
[[nodiscard]] std::unique_ptr<LogSource> open_folder(const std::string& data_dir);

}  // namespace milepost::tool
