#include "storage/log/log_config.hpp"

#include "storage/log/errc.hpp"

#include <algorithm>

namespace milepost::storage {

namespace {

constexpr std::uint64_t ring_bytes_default = 64 * mib;
constexpr std::uint64_t ring_bytes_small_memory = 16 * mib;
constexpr std::uint64_t block = 4 * kib;

// A record of the largest size must fit a group, beside the frame's and the batch's own headers.
constexpr std::uint64_t group_slack_bytes = 8 * kib;

std::uint64_t default_limit(const Machine& machine, std::uint64_t ring_bytes) {
    // limit + reserve = 80 % of the file system, and the reserve is the ring and 5 % of the limit.
    const std::uint64_t usable = machine.disk_bytes / 5 * 4;
    return usable > ring_bytes ? (usable - ring_bytes) / 105 * 100 : 0;
}

}  // namespace

Result<LogConfig> work_out(LogConfig config, const Machine& machine) {
    const bool ring_given = config.ring_bytes != 0;
    if (!ring_given) {
        config.ring_bytes = machine.memory_bytes < gib ? ring_bytes_small_memory
                                                       : ring_bytes_default;
    }
    if (config.limit_bytes == 0) config.limit_bytes = default_limit(machine, config.ring_bytes);
    config.limit_bytes = std::max<std::uint64_t>(config.limit_bytes, log_limit_bytes_min);
    config.ring_bytes = std::min(config.ring_bytes, config.limit_bytes / 16);
    config.ring_bytes = std::max(config.ring_bytes, ring_bytes_min) / block * block;

    config.segment_bytes = std::min<std::uint64_t>(config.segment_bytes, config.limit_bytes / 8);
    config.group_bytes = std::min<std::uint64_t>(config.group_bytes, config.ring_bytes / 4);
    config.record_bytes = std::min<std::uint64_t>(config.record_bytes, config.ring_bytes / 8);
    if (config.record_bytes == 0 || config.segment_bytes == 0 || config.batch_bytes == 0 ||
        config.record_bytes + group_slack_bytes > config.group_bytes) {
        return LogErrc::bad_config;
    }
    return config;
}

std::uint64_t reserve_bytes(const LogConfig& config) {
    return config.ring_bytes + config.limit_bytes / 20;
}

}  // namespace milepost::storage
