// What milepost replay sends to Kafka, before librdkafka's mock brokers.
#include "gateway/tool/kafka_sink.hpp"
#include "gateway/upstream/topic_reader.hpp"
#include "tests/component/forward_mock/mock_cluster.hpp"
#include "tests/support/matchers.hpp"

#include <algorithm>
#include <chrono>
#include <memory>
#include <string>
#include <vector>

using namespace milepost;
using namespace milepost::tool;
using milepost::test::MockCluster;
using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

// In Kafka's protocol.
constexpr std::int16_t find_coordinator = 10;
// librdkafka 2.0.2 asks so often.
constexpr int asked_in_a_row = 3;

struct Bench {
    Bench() { mock.create_topic("t", 1); }

    std::unique_ptr<ReplaySink> open() {
        return open_kafka_sink({.brokers = mock.bootstrap_servers()}, "job", 0, "");
    }

    std::vector<std::string> read_back(std::size_t count) const {
        const upstream::ClientSettings client{.bootstrap_servers = mock.bootstrap_servers()};
        std::string problem;
        const auto reader = upstream::make_rdkafka_topic_reader(client, 1'000'000, problem).value();
        const auto partition = reader->start("t", 0, 0).value();
        std::vector<std::string> values;
        const auto end = monotonic_now() + seconds{10};
        while (values.size() < count && monotonic_now() < end) {
            for (const auto& record : partition->read(milliseconds{100}).value())
                values.emplace_back(as_text(*record.value));
        }
        return values;
    }

    MockCluster mock{1};
};

ReplayRecord record_of(std::string_view value) {
    return {.topic = "t", .timestamp = Timestamp{1}, .value = as_bytes(value)};
}

}  // namespace

// What librdkafka 2.0.2 does not come back from: see KafkaSink::put.
TEST_CASE("replay_mock: a coordinator of the positions that is new is waited for", "[replay]") {
    Bench bench;
    const auto sink = bench.open();
    for (int i = 0; i < asked_in_a_row; ++i) {
        rd_kafka_mock_push_request_errors(
            bench.mock.get(),
            find_coordinator,
            1,
            RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE
        );
    }
    sink->put(record_of("reading"));
    sink->settle();
    CHECK(bench.read_back(1) == std::vector<std::string>{"reading"});
}

TEST_CASE("replay_mock: blocks of records are let go when these are reported", "[replay]") {
    Bench bench;
    std::vector<std::string> expected;
    std::vector<std::weak_ptr<const void>> blocks;
    const auto sink = bench.open();
    constexpr int block_count = 500;  // more than may be held
    for (int i = 0; i < block_count; ++i) {
        auto text = std::make_shared<const std::string>("reading " + std::to_string(i));
        expected.push_back(*text);
        const std::shared_ptr<const void> owner = text;
        blocks.emplace_back(owner);
        auto record = record_of(*text);
        record.owner = &owner;
        sink->put(record);
    }
    sink->settle();
    const auto is_held = [](const auto& block) {
        return !block.expired();
    };
    CHECK(std::ranges::none_of(blocks, is_held));
    CHECK(bench.read_back(block_count) == expected);
}

TEST_CASE("replay_mock: who gives up lets go of what was not reported", "[replay]") {
    Bench bench;
    auto text = std::make_shared<const std::string>("reading");
    std::weak_ptr<const void> block = text;
    {
        const std::shared_ptr<const void> owner = std::move(text);
        const auto sink = bench.open();
        sink->put(record_of("the first one looks for its position"));
        bench.mock.set_down(1);
        auto record = record_of(*std::static_pointer_cast<const std::string>(owner));
        record.owner = &owner;
        sink->put(record);
        CHECK_FALSE(block.expired());
    }
    CHECK(block.expired());
}
