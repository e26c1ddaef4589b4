#include "gateway/upstream/rdkafka_producer.hpp"

#include "gateway/upstream/topic_reader.hpp"
#include "tests/component/forward_mock/mock_cluster.hpp"
#include "tests/support/matchers.hpp"

#include <chrono>
#include <string>
#include <vector>

using namespace milepost;
using namespace milepost::upstream;
using std::chrono::milliseconds;
using std::chrono::seconds;

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

namespace {

using Headers = std::vector<storage::HeaderView>;

struct Reports final : ProducerListener {
    std::size_t confirmed = 0;

    void on_reports(std::span<const DeliveryReport> reports) override {
        for (const auto& report : reports)
            confirmed += report.fault == Fault::none ? 1 : 0;
    }

    void on_error(const ErrorCode&, std::string_view) override {}

    void on_brokers(std::uint32_t) override {}

    void on_log(int, std::string_view) override {}
};

// One producer before librdkafka's mock broker.
struct Bench {
    explicit Bench(ProducerSettings settings = {}) {
        mock.create_topic("t", 1);
        settings.client.bootstrap_servers = mock.bootstrap_servers();
        std::string problem;
        producer = make_rdkafka_producer(settings, waker, problem).value();
        topic = producer->open_topic("t").value();
    }

    void produce(Bytes value, bool is_kept, const Headers& headers = {}) {
        OutgoingRecord record{};
        record.topic = topic;
        record.timestamp = Timestamp{1};
        record.value = value;
        record.headers = headers;
        record.is_value_kept = is_kept;
        REQUIRE_FALSE(producer->produce(record));
        ++produced;
    }

    void wait_for_reports() {
        const auto end = monotonic_now() + seconds{10};
        while (reports.confirmed < produced && monotonic_now() < end) {
            producer->serve(reports);
            if (reports.confirmed < produced) waker.wait(milliseconds{100});
        }
        REQUIRE(reports.confirmed == produced);
    }

    // Of each record its value, then ` name=value` for each header.
    std::vector<std::string> read_back() const {
        const ClientSettings client{.bootstrap_servers = mock.bootstrap_servers()};
        std::string problem;
        const auto reader = make_rdkafka_topic_reader(client, 1'000'000, problem).value();
        const auto partition = reader->start("t", 0, 0).value();
        std::vector<std::string> texts;
        const auto end = monotonic_now() + seconds{10};
        while (texts.size() < produced && monotonic_now() < end) {
            for (const auto& record : partition->read(milliseconds{100}).value()) {
                auto& text = texts.emplace_back(as_text(*record.value));
                for (const auto& header : record.headers)
                    text += ' ' + std::string{header.name} + '=' +
                            std::string{as_text(header.value)};
            }
        }
        return texts;
    }

    test::MockCluster mock{1};
    Waker waker;
    Reports reports;
    std::unique_ptr<Producer> producer;
    TopicId topic{};
    std::size_t produced = 0;
};

}  // namespace

TEST_CASE("rdkafka_producer: a value that is kept is read where it lies", "[upstream]") {
    Bench bench;
    bench.mock.set_down(1);
    std::string kept = "early";
    std::string copied = "early";
    bench.produce(as_bytes(kept), true);
    bench.produce(as_bytes(copied), false);
    bench.produce({}, true);
    kept = "later";
    copied = "later";
    bench.mock.set_up(1);
    bench.wait_for_reports();
    CHECK(bench.read_back() == std::vector<std::string>{"later", "early", ""});
}

TEST_CASE(
    "rdkafka_producer: what values lie in is let go when the client has ended",
    "[upstream]"
) {
    auto values = std::make_shared<const std::string>("reading");
    const std::weak_ptr<const std::string> seen = values;
    ProducerSettings settings;
    settings.kept = values;
    Bench bench{settings};
    settings = {};
    bench.mock.set_down(1);
    bench.produce(as_bytes(*values), true);
    values.reset();
    CHECK_FALSE(seen.expired());
    bench.producer.reset();  // nothing was reported
    CHECK(seen.expired());
}

TEST_CASE("rdkafka_producer: headers of reported records are used again", "[upstream]") {
    ProducerSettings settings;
    settings.header_lists_kept = GENERATE(std::size_t{0}, std::size_t{1}, std::size_t{100});
    Bench bench{settings};
    const auto produce = [&](std::string_view value, const Headers& headers) {
        bench.produce(as_bytes(value), false, headers);
    };
    const auto header = [](std::string_view name, std::string_view value) {
        return storage::HeaderView{.name = name, .value = as_bytes(value)};
    };
    std::vector<std::string> expected;
    for (int round = 0; round < 3; ++round) {
        const auto digit = std::to_string(round);
        // What was reported last is used first: lists meet other names, lengths and counts.
        produce("longer", {header("id", "aaa" + digit)});
        produce("same", {header("id", "b" + digit)});
        produce("two", {header("id", "c" + digit), header("empty", "")});
        produce("other", {header("it", "d" + digit)});
        produce("one", {header("id", "e" + digit)});
        produce("none", {});
        for (const auto* text :
             {"longer id=aaa#",
              "same id=b#",
              "two id=c# empty=",
              "other it=d#",
              "one id=e#",
              "none"}) {
            auto& added = expected.emplace_back(text);
            if (const auto at = added.find('#'); at != std::string::npos)
                added.replace(at, 1, digit);
        }
        bench.wait_for_reports();
    }
    CHECK(bench.read_back() == expected);
}
