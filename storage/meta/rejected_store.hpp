#pragma once

#include "storage/base/result.hpp"
#include "storage/meta/database.hpp"

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace milepost::storage {

// Readings that were not taken, by reason.
struct RejectedCount {
    std::string reason;
    std::uint64_t count = 0;

    friend bool operator==(const RejectedCount&, const RejectedCount&) = default;
};

// How many readings were refused since the folder was made: the one part of the account that no
// offset tells.
// Lifetime: `connection` (open_meta) outlives it. Thread: the connection's (the checkpointer).
class RejectedStore {
public:
    explicit RejectedStore(Connection& connection)
        : connection_(connection) {}

    // All of them or none; durable on return.
    Result<void> save(std::span<const RejectedCount> counts);
    // By reason.
    Result<std::vector<RejectedCount>> load();

private:
    Connection& connection_;
};

}  // namespace milepost::storage
