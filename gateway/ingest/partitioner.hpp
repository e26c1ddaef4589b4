#pragma once

#include "storage/base/bytes.hpp"

#include <cstdint>

namespace milepost::ingest {

// murmur2 with Kafka's seed, and the partition that Kafka's Java client picks for a key: the same
// number here and upstream. Source: Austin Appleby's MurmurHash2 (32 bit); Kafka's Utils.murmur2
// and toPositive fix seed and sign. Checked against librdkafka's partitioner and Java's vectors.
[[nodiscard]] std::uint32_t murmur2(Bytes key);

// 0 <= result < partition_count. `partition_count` is at least 1.
[[nodiscard]] std::int32_t partition_for(Bytes key, std::int32_t partition_count);

}  // namespace milepost::ingest
