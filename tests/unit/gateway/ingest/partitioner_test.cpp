#include "gateway/ingest/partitioner.hpp"

#include <catch2/catch.hpp>
#include <librdkafka/rdkafka.h>

#include <cstdint>
#include <random>
#include <string>

namespace milepost::ingest {

// From Kafka's UtilsTest.testMurmur2.
TEST_CASE("partitioner: murmur2 agrees with the vectors of Kafka's Java client", "[partitioner]") {
    const auto hash = [](std::string_view key) {
        return static_cast<std::int32_t>(murmur2(as_bytes(key)));
    };
    CHECK(hash("21") == -973932308);
    CHECK(hash("foobar") == -790332482);
    CHECK(hash("a-little-bit-long-string") == -985981536);
    CHECK(hash("a-little-bit-longer-string") == -1486304829);
    CHECK(hash("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8") == -58897971);
    CHECK(hash("abc") == 479470107);
}

TEST_CASE("partitioner: agrees with librdkafka's murmur2 partitioner", "[partitioner]") {
    std::mt19937 random{7};
    for (int i = 0; i < 2'000; ++i) {
        std::string key(random() % 40 + 1, '\0');
        for (char& c : key)
            c = static_cast<char>(random() & 0xFFU);
        const auto partitions = static_cast<std::int32_t>(random() % 64 + 1);
        const std::int32_t theirs = rd_kafka_msg_partitioner_murmur2(
            nullptr,
            key.data(),
            key.size(),
            partitions,
            nullptr,
            nullptr
        );
        REQUIRE(partition_for(as_bytes(key), partitions) == theirs);
    }
}

}  // namespace milepost::ingest
