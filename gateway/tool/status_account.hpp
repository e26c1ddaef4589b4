#pragma once

#include "gateway/tool/log_source.hpp"

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace milepost::tool {

// Where the readings of one partition are, or of all: accepted = forwarded + pending + kept +
// expired + lost.
struct AccountLine {
    std::int64_t accepted = 0;
    std::int64_t forwarded = 0;
    std::int64_t pending = 0;                     // not confirmed yet
    std::int64_t kept = 0;                        // of what is not forwarded: still in the log
    std::map<std::string, std::int64_t> expired;  // by reason: removed unforwarded, as configured
    std::map<std::string, std::int64_t> lost;     // by reason

    [[nodiscard]] std::int64_t expired_total() const;
    [[nodiscard]] std::int64_t lost_total() const;
    void add(const AccountLine& other);
};

struct PartitionAccount {
    storage::TopicPartition name;
    AccountLine line;
};

// Where every reading that was received is: received = accepted(origin mqtt) + accepted(origin
// bridge) + rejected. All but `rejected` follows from offsets, the gap ledger and a count that is
// durable with the records, so that it also holds after a crash; rejections are counted, and saved
// at checkpoints. Pure.
struct StatusAccount {
    bool has_upstream = false;
    bool keeps_some = false;  // there are partitions that nothing is forwarded of
    std::int64_t received = 0;
    // Of those accepted: copies of records that the upstream refused. They were not received.
    std::int64_t dead_letters = 0;
    std::int64_t bridged = 0;  // of those accepted: from brokers in front

    [[nodiscard]] std::int64_t from_mqtt() const { return all.accepted - dead_letters - bridged; }

    std::vector<Count> rejected;
    AccountLine all;
    std::vector<PartitionAccount> partitions;
};

// Whether a gap with that reason is no hole but what retention was told to remove.
[[nodiscard]] bool is_expiry(std::string_view reason);

// What was forwarded and removed since is forwarded: below `forwarded`, or below `start` where
// nothing is forwarded now, is forwarded whatever the ledger does not name. An offset that several
// of its entries name is the first one's; an entry of retention counts as far as `start` has
// passed it.
[[nodiscard]] StatusAccount account_of(const Status& status);

}  // namespace milepost::tool
