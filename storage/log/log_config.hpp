#pragma once

#include "storage/base/result.hpp"
#include "storage/base/units.hpp"
#include "storage/format/compression.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <string_view>

namespace milepost::storage {

enum class SyncMethod : std::uint8_t {
    fdatasync,  // pwrite + fdatasync
    dsync,      // O_DIRECT + pwritev2(RWF_DSYNC)
};

enum class CommitterThread : std::uint8_t { automatic, always_inline, always_own };

// What happens when the log is full and nothing that is forwarded is left to remove.
enum class FullPolicy : std::uint8_t {
    block,        // no reading is taken until there is room
    drop_oldest,  // the oldest segments go unforwarded, and the gap ledger says so
};

// How long a topic's readings are kept once they are forwarded; 0: until the log needs the room.
struct TopicRetention {
    std::uint64_t bytes = 0;  // of each of its partitions, as Kafka's retention.bytes
    std::chrono::milliseconds age{0};
};

// Limits and defaults of a log; `config` has the table that a user sees. 0 means "worked out at
// open from the file system and the memory" where a comment says so.
struct LogConfig {
    std::filesystem::path data_dir;
    std::uint64_t ring_bytes = 0;  // 0: 64 MiB, 16 MiB under 1 GiB of memory; never over limit / 16
    std::uint64_t limit_bytes = 0;         // 0: 80 % of the file system, less the reserve
    std::size_t segment_bytes = 64 * mib;  // never over limit / 8
    std::size_t group_bytes = 4 * mib;     // never over ring / 4
    std::size_t record_bytes = 1'000'000;  // never over ring / 8
    std::size_t batch_bytes = 64 * kib;    // records merged before compression at a checkpoint
    Codec codec = Codec::zstd;  // of the segments; zstd is lz4 while the ring is over 3/4 full
    std::map<std::string, Codec, std::less<>> topic_codecs{};  // of topics that have another one
    SyncMethod sync = SyncMethod::fdatasync;
    CommitterThread committer = CommitterThread::automatic;
    bool real_time = false;  // of the thread that commits: this_thread::Foreground
    std::chrono::milliseconds commit_interval_min{0};
    std::chrono::seconds checkpoint_age_max{60};
    std::chrono::milliseconds renewal_pause{30'000};  // from a ring that failed to the next try
    // Hash of the machine's id; 0: it has none. A new ring remembers it.
    std::uint64_t machine_id_hash = 0;
    FullPolicy full = FullPolicy::block;
    std::map<std::string, TopicRetention, std::less<>> retention{};  // by topic
    // Retention waits for set_forwarded; false: nothing is forwarded, it works up to durable.
    bool forwards = true;
    std::set<std::string, std::less<>> local_topics{};  // nothing of these is forwarded either
    bool checkpoints = true;  // false: only at close (benchmarks of the journal alone)
    bool background = true;   // false: no threads; checkpoints when asked for (tests that replay)

    [[nodiscard]] bool forwards_topic(std::string_view topic) const {
        return forwards && local_topics.find(topic) == local_topics.end();
    }
};

inline constexpr std::uint64_t ring_bytes_min = 256 * kib;
inline constexpr std::uint64_t log_limit_bytes_min = 4 * mib;

// What the defaults depend on.
struct Machine {
    std::uint64_t memory_bytes = 0;
    std::uint64_t disk_bytes = 0;  // size of the file system that holds the data folder
};

// Fills the zeros in and applies the upper bounds above. LogErrc::bad_config: sizes that contradict
// each other, such as a record that fits no group.
Result<LogConfig> work_out(LogConfig config, const Machine& machine);

// What must stay free on the disk and below the limit, or no readings are taken in.
[[nodiscard]] std::uint64_t reserve_bytes(const LogConfig& config);

}  // namespace milepost::storage
