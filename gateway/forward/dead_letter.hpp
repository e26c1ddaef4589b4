#pragma once

#include "storage/base/bytes.hpp"
#include "storage/base/time.hpp"
#include "storage/format/offsets.hpp"
#include "storage/format/record.hpp"

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace milepost::forward {

// A record that Kafka refuses for good is put into `<topic>.dead-letter` of the same log, with its
// key, its value, its headers and these, and goes its way from there like any other:
//   mp.dead.reason       what the broker says
//   mp.dead.topic, mp.dead.partition, mp.dead.offset, mp.dead.timestamp (ms)   where it was
//   mp.dead.value-bytes  only where the value was cut: how long it was
// The record's own timestamp is when the dead letter was written.
// What is left of the value of a dead letter that is too large itself.
inline constexpr std::size_t dead_letter_value_bytes_cut = 4096;

// Owns what a RecordView looks at.
struct OwnedRecord {
    Timestamp timestamp{};
    Buffer key;
    Buffer value;
    std::vector<std::pair<std::string, Buffer>> headers;

    // `views` has to live as long as the result.
    [[nodiscard]] storage::RecordView view(std::vector<storage::HeaderView>& views) const;
};

struct DeadLetter {
    std::string topic;
    OwnedRecord record;
};

// The dead letter for a record of `partition`. A refused dead letter gives another one in the same
// topic, cut, that tells of the same record; nullopt: it was cut already, nothing smaller is left.
// One that would be over `record_bytes_max` is cut at once. Pure.
[[nodiscard]] std::optional<DeadLetter> make_dead_letter(
    const storage::TopicPartition& partition,
    const storage::StoredRecord& record,
    std::string_view reason,
    Timestamp now,
    std::size_t record_bytes_max
);

}  // namespace milepost::forward
