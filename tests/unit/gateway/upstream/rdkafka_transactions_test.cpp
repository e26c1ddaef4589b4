#include "gateway/upstream/rdkafka_producer.hpp"
#include "gateway/upstream/transactions.hpp"
#include "tests/component/forward_mock/mock_cluster.hpp"
#include "tests/support/matchers.hpp"

#include <chrono>
#include <utility>

using namespace milepost;
using namespace milepost::upstream;
using milepost::test::MockCluster;
using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

// Numbers of requests in Kafka's protocol.
constexpr std::int16_t add_partitions = 24;
constexpr std::int16_t end_txn = 26;

struct Heard final : ProducerListener {
    int confirmed = 0;
    int failed = 0;

    void on_reports(std::span<const DeliveryReport> reports) override {
        for (const auto& report : reports) {
            ++(report.fault == Fault::none ? confirmed : failed);
        }
    }

    void on_error(const ErrorCode&, std::string_view) override {}

    void on_brokers(std::uint32_t) override {}

    void on_log(int, std::string_view) override {}
};

// One transactional producer before librdkafka's mock broker.
struct Bench {
    explicit Bench(milliseconds transaction_wait = seconds{10}, Properties properties = {}) {
        mock.create_topic("t", 1);
        ProducerSettings settings;
        settings.transaction_wait = transaction_wait;
        settings.client.bootstrap_servers = mock.bootstrap_servers();
        settings.client.properties = std::move(properties);
        settings.transactional_id = "milepost-test";
        settings.group_id = "milepost-test";
        std::string problem;
        auto made = make_rdkafka_transactional(settings, waker, problem);
        INFO(problem);
        REQUIRE(made);
        client = std::move(made).value();
        topic = client.producer->open_topic("t").value();
    }

    // Serves the producer until the step has ended.
    StepDone finish(Step step, std::vector<GroupPosition> positions = {}) {
        client.transactions->start(step, std::move(positions));
        const auto end = monotonic_now() + seconds{10};
        while (monotonic_now() < end) {
            client.producer->serve(heard);
            if (auto done = client.transactions->take_done()) {
                client.producer->serve(heard);
                return *done;
            }
            waker.wait(milliseconds{100});
        }
        FAIL("a step did not end");
        return {};
    }

    void begin_with_a_record() {
        REQUIRE_FALSE(client.transactions->begin());
        OutgoingRecord record{};
        record.topic = topic;
        record.timestamp = Timestamp{1};
        record.value = as_bytes("reading");
        REQUIRE_FALSE(client.producer->produce(record));
    }

    void fail_next(std::int16_t request, rd_kafka_resp_err_t error) const {
        rd_kafka_mock_push_request_errors(mock.get(), request, 1, error);
    }

    MockCluster mock{1};
    Waker waker;
    Heard heard;
    TransactionalClient client;
    TopicId topic{};
};

const std::vector<GroupPosition> positions = {
    {.topic = "t", .partition = 0, .offset = 7, .metadata = "mark"}};

}  // namespace

TEST_CASE("rdkafka_transactions: a transaction goes from init to commit", "[upstream]") {
    Bench bench;
    CHECK(bench.finish(Step::init).result == StepResult::done);
    bench.begin_with_a_record();
    CHECK(bench.finish(Step::send_positions, positions).result == StepResult::done);
    const auto done = bench.finish(Step::commit);
    INFO(done.text);
    CHECK(done.step == Step::commit);
    CHECK(done.result == StepResult::done);
    CHECK(bench.heard.confirmed == 1);
    SECTION("and so does the next one, which is aborted") {
        bench.begin_with_a_record();
        CHECK(bench.finish(Step::abort).result == StepResult::done);
        CHECK(bench.heard.confirmed + bench.heard.failed == 2);
    }
}

TEST_CASE("rdkafka_transactions: what only a consumer refuses does no harm", "[upstream]") {
    // Below session.timeout.ms; more than a fetch may bring.
    const Properties properties = GENERATE(
        Properties{{"max.poll.interval.ms", "10000"}},
        Properties{{"fetch.max.bytes", "100000000"}, {"receive.message.max.bytes", "90000000"}}
    );
    Bench bench{seconds{10}, properties};
    REQUIRE(bench.finish(Step::init).result == StepResult::done);
    const auto done = bench.finish(Step::read_positions, positions);
    INFO(done.text);
    CHECK(done.result == StepResult::done);
}

TEST_CASE(
    "rdkafka_transactions: without a broker a step ends, and can be had again",
    "[upstream]"
) {
    const Step step = GENERATE(Step::commit, Step::abort);
    Bench bench{milliseconds{300}};
    REQUIRE(bench.finish(Step::init).result == StepResult::done);
    bench.begin_with_a_record();
    REQUIRE(bench.finish(Step::send_positions, positions).result == StepResult::done);
    rd_kafka_mock_broker_set_down(bench.mock.get(), 1);
    const auto done = bench.finish(step);
    INFO(done.text);
    CHECK(done.result == StepResult::again);
    CHECK(fault_of(done.error) == Fault::transient);
    rd_kafka_mock_broker_set_up(bench.mock.get(), 1);
    auto result = StepResult::again;
    while (result == StepResult::again)
        result = bench.finish(step).result;
    CHECK(result == StepResult::done);
}

TEST_CASE("rdkafka_transactions: a position that Kafka does not have is below 0", "[upstream]") {
    Bench bench;
    REQUIRE(bench.finish(Step::init).result == StepResult::done);
    const auto done = bench.finish(Step::read_positions, {{.topic = "t", .partition = 0}});
    INFO(done.text);
    REQUIRE(done.result == StepResult::done);
    REQUIRE(done.positions.size() == 1);
    CHECK(done.positions[0].topic == "t");
    CHECK(done.positions[0].offset == -1);
    CHECK(done.positions[0].metadata.empty());
}

TEST_CASE("rdkafka_transactions: an error says what is to be done next", "[upstream]") {
    Bench bench;
    REQUIRE(bench.finish(Step::init).result == StepResult::done);
    SECTION("a forbidden topic ends the transaction, not the producer") {
        bench.fail_next(add_partitions, RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED);
        bench.begin_with_a_record();
        const auto done = bench.finish(Step::commit);
        CHECK(done.result == StepResult::abort);
        CHECK(fault_of(done.error) == Fault::topic);
        CHECK_FALSE(done.text.empty());
        CHECK(bench.finish(Step::abort).result == StepResult::done);
        bench.begin_with_a_record();
        CHECK(bench.finish(Step::commit).result == StepResult::done);
    }
    SECTION("who is fenced is finished") {
        bench.begin_with_a_record();
        bench.fail_next(end_txn, RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH);
        const auto done = bench.finish(Step::commit);
        CHECK(done.result == StepResult::fatal);
        CHECK(fault_of(done.error) == Fault::fatal);
        CHECK(bench.client.producer->fatal_reason());
    }
    SECTION("a coordinator that is loading is waited for within the step") {
        bench.begin_with_a_record();
        bench.fail_next(end_txn, RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS);
        CHECK(bench.finish(Step::commit).result == StepResult::done);
    }
    SECTION("to commit what was not begun is a mistake") {
        CHECK(bench.finish(Step::commit).result == StepResult::fatal);
    }
}

TEST_CASE("rdkafka_transactions: who leaves does not wait for a step that hangs", "[upstream]") {
    Bench bench;
    rd_kafka_mock_broker_set_rtt(bench.mock.get(), 1, 60'000);
    bench.client.transactions->start(Step::init, {});
    CHECK_FALSE(bench.client.transactions->take_done());
    const auto before = monotonic_now();
    bench.client = {};
    CHECK(monotonic_now() - before < seconds{5});
}
