#include "gateway/ingest/partitioner.hpp"

#include "storage/base/check.hpp"

namespace milepost::ingest {

std::uint32_t murmur2(Bytes key) {
    constexpr std::uint32_t seed = 0x9747b28c;
    constexpr std::uint32_t multiplier = 0x5bd1e995;
    constexpr unsigned shift = 24;

    std::uint32_t hash = seed ^ static_cast<std::uint32_t>(key.size());
    while (key.size() >= 4) {
        auto word = load_little<std::uint32_t>(key.data());
        word *= multiplier;
        word ^= word >> shift;
        word *= multiplier;
        hash *= multiplier;
        hash ^= word;
        key = key.subspan(4);
    }
    if (!key.empty()) {
        std::uint32_t tail = 0;
        for (std::size_t i = key.size(); i > 0; --i) {
            tail = (tail << 8U) | std::to_integer<std::uint32_t>(key[i - 1]);
        }
        hash ^= tail;
        hash *= multiplier;
    }
    hash ^= hash >> 13U;
    hash *= multiplier;
    hash ^= hash >> 15U;
    return hash;
}

std::int32_t partition_for(Bytes key, std::int32_t partition_count) {
    MILEPOST_CHECK(partition_count >= 1);
    // Kafka's toPositive: the sign bit is dropped, not negated.
    const auto positive = static_cast<std::int32_t>(murmur2(key) & 0x7fffffffU);
    return positive % partition_count;
}

}  // namespace milepost::ingest
