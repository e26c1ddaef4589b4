#pragma once

#include "gateway/tool/log_source.hpp"

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace milepost::tool {

// Where every reading that was received is: received = accepted + rejected, and accepted =
// forwarded + pending + expired + lost (without an upstream: kept instead of forwarded and
// pending). All but `rejected` follows from offsets, so that it also holds after a crash;
// rejections are counted since the gateway's start. Pure.
struct StatusAccount {
    bool has_upstream = false;
    std::int64_t received = 0;
    std::int64_t accepted = 0;
    std::vector<Count> rejected;
    std::int64_t forwarded = 0;
    std::int64_t pending = 0;
    std::int64_t kept = 0;
    std::int64_t expired = 0;
    std::map<std::string, std::int64_t> lost;  // by reason

    [[nodiscard]] std::int64_t lost_total() const;
};

[[nodiscard]] StatusAccount account_of(const Status& status);

}  // namespace milepost::tool
