#pragma once

#include "gateway/upstream/consumer.hpp"
#include "storage/format/record.hpp"

#include <vector>

struct rd_kafka_message_s;

// Only for rdkafka_*.cpp of this room.
namespace milepost::upstream {

// A message without an error as a record: views into it, and of its headers into `headers`.
[[nodiscard]] ConsumedRecord record_of(
    const rd_kafka_message_s& message,
    std::vector<storage::HeaderView>& headers
);

}  // namespace milepost::upstream
