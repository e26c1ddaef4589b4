#pragma once

#include "storage/base/result.hpp"
#include "storage/format/offsets.hpp"
#include "storage/meta/database.hpp"

#include <optional>
#include <span>
#include <string_view>
#include <vector>

namespace milepost::storage {

// Everything below `forwarded` was confirmed by the upstream. `in_kafka` is the last position that
// Kafka itself is known to have (exactly_once): what is from there on was confirmed to
// at_least_once, whose position is here only. nullopt: not known, an older version wrote it.
struct ForwardPosition {
    TopicPartition partition;
    Offset forwarded;
    std::optional<Offset> in_kafka{};

    friend bool operator==(const ForwardPosition&, const ForwardPosition&) = default;
};

// How far forwarding is, per log and partition. A position belongs to the log with that id only:
// offsets of another log mean other records.
// Lifetime: `connection` (open_meta) outlives it. Thread: the connection's (the forwarder).
class PositionStore {
public:
    explicit PositionStore(Connection& connection)
        : connection_(connection) {}

    // All of them or none, in one transaction; durable on return.
    Result<void> save(std::string_view log_id, std::span<const ForwardPosition> positions);
    Result<std::vector<ForwardPosition>> load(std::string_view log_id);

private:
    Connection& connection_;
};

}  // namespace milepost::storage
