#include "gateway/config_key_tables.hpp"

#include <array>

namespace milepost {

namespace {

constexpr std::array table{
    Key{"log",
        "limit_bytes",
        KeyType::bytes,
        "0",
        {0, keys::any_bytes},
        "",
        "The most that the log takes, at least 4 MiB. 0: 80 % of its file system, less the "
        "reserve.",
        [](Config& config, const KeyValue& value) {
            config.log.limit_bytes = keys::number<std::uint64_t>(value);
        }},
    Key{"log",
        "ring_bytes",
        KeyType::bytes,
        "0",
        {0, 16 * 1024 * keys::mebi},
        "",
        "Of the journal, at least 256 KiB, not over 1/16 of limit_bytes. 0: 64 MiB, 16 MiB under\n"
        "1 GiB of memory. Fixed when the log is made.",
        [](Config& config, const KeyValue& value) {
            config.log.ring_bytes = keys::number<std::uint64_t>(value);
        }},
    Key{"log",
        "full",
        KeyType::text,
        "\"block\"",
        {},
        "block|drop_oldest",
        "What happens when the log is full of what is not forwarded: no reading is taken until\n"
        "there is room, or the oldest ones are lost, which the gap ledger and the account say.",
        [](Config& config, const KeyValue& value) {
            config.log.full = keys::text(value) == "block" ? storage::FullPolicy::block
                                                           : storage::FullPolicy::drop_oldest;
        }},
    Key{"log",
        "sync",
        KeyType::text,
        "\"fdatasync\"",
        {},
        "fdatasync|dsync",
        "How a group is made durable; dsync is O_DIRECT with RWF_DSYNC.",
        [](Config& config, const KeyValue& value) {
            config.log.sync = keys::text(value) == "dsync" ? storage::SyncMethod::dsync
                                                           : storage::SyncMethod::fdatasync;
        }},
    Key{"log",
        "commit_interval_min",
        KeyType::milliseconds,
        "0",
        {0, 10'000},
        "",
        "The least time between two syncs: trades latency for flash wear.",
        [](Config& config, const KeyValue& value) {
            config.log.commit_interval_min = std::chrono::milliseconds{
                keys::number<std::int64_t>(value)};
        }},
    Key{"log",
        "endurance_bytes",
        KeyType::bytes,
        "0",
        {0, keys::any_bytes},
        "",
        "What the disk may be written in its life, by its maker (TBW): `milepost status` then "
        "says\n"
        "how long that lasts. 0: not known.",
        [](Config& config, const KeyValue& value) {
            config.endurance_bytes = keys::number<std::uint64_t>(value);
        }},
    Key{"log",
        "codec",
        KeyType::text,
        "\"zstd\"",
        {},
        "none|lz4|zstd",
        "Of the segments, where a [[topic]] says no other. zstd is lz4 while the journal is\n"
        "over 3/4 full.",
        [](Config& config, const KeyValue& value) {
            config.log.codec = keys::codec(value);
        }},
    Key{"log",
        "committer",
        KeyType::text,
        "\"auto\"",
        {},
        "auto|inline|own",
        "Which thread syncs: the network's while syncs are quick, or one of its own.",
        [](Config& config, const KeyValue& value) {
            config.log.committer = keys::text(value) == "inline"
                                       ? storage::CommitterThread::always_inline
                                   : keys::text(value) == "own"
                                       ? storage::CommitterThread::always_own
                                       : storage::CommitterThread::automatic;
        }},

    Key{"time",
        "require_sync",
        KeyType::boolean,
        "true",
        {},
        "",
        "Marks readings mp.clock=unsynced until the system's clock is synchronised.",
        [](Config& config, const KeyValue& value) {
            config.time_require_sync = std::get<bool>(value);
        }},
};

}  // namespace

std::span<const Key> log_keys() {
    return table;
}

}  // namespace milepost
