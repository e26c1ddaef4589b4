#include "gateway/upstream/rdkafka_producer.hpp"

#include "tests/support/matchers.hpp"

using namespace milepost;
using namespace milepost::upstream;

TEST_CASE(
    "rdkafka_producer: the partition is the one that Kafka's Java client takes",
    "[upstream]"
) {
    // Keys and hashes of UtilsTest.testMurmur2 in Apache Kafka; partition = (hash & 0x7fffffff) %
    // n.
    const std::pair<std::string_view, std::int32_t> cases[] = {
        {"21", -973932308},
        {"foobar", -790332482},
        {"a-little-bit-long-string", -985981536},
        {"a-little-bit-longer-string", -1486304829},
        {"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971},
        {"abc", 479470107},
    };
    for (const auto& [key, hash] : cases) {
        INFO(key);
        CHECK(murmur2_partition(as_bytes(key), 1000) == (hash & 0x7fffffff) % 1000);
    }
}

TEST_CASE(
    "rdkafka_producer: settings that librdkafka does not take are said in words",
    "[upstream]"
) {
    Waker waker;
    ProducerSettings settings;
    settings.client.bootstrap_servers = "127.0.0.1:1";
    settings.compression = "paper";
    std::string problem;
    const auto made = make_rdkafka_producer(settings, waker, problem);
    REQUIRE_FALSE(made);
    CHECK(problem.find("paper") != std::string::npos);
}

TEST_CASE(
    "rdkafka_producer: a user's property never outweighs what a promise needs",
    "[upstream]"
) {
    Waker waker;
    ProducerSettings settings;
    settings.client.bootstrap_servers = "127.0.0.1:1";
    settings.client.properties = {{"enable.idempotence", "false"}, {"acks", "0"}};
    std::string problem;
    // librdkafka itself refuses idempotence with acks=0: made means that acks=all won.
    CHECK(make_rdkafka_producer(settings, waker, problem));
}
