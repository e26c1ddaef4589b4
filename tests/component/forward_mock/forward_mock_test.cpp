#include "gateway/forward/forwarder.hpp"
#include "gateway/upstream/consumer.hpp"
#include "gateway/upstream/rdkafka_producer.hpp"
#include "storage/meta/schema.hpp"
#include "tests/component/forward_mock/mock_cluster.hpp"
#include "tests/support/matchers.hpp"
#include "tests/support/memory_log.hpp"
#include "tests/support/temp_dir.hpp"
#include "tests/support/wait_until.hpp"

#include <chrono>
#include <cstdlib>
#include <iostream>
#include <string>
#include <thread>
#include <vector>

using namespace milepost;
using namespace milepost::forward;
using milepost::storage::Offset;
using milepost::storage::PartitionId;
using milepost::test::MemoryLog;
using milepost::test::MockCluster;
using milepost::test::TempDir;
using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

constexpr seconds patience{60};

struct Bench {
    explicit Bench(int brokers)
        : mock(brokers) {
        settings.client.bootstrap_servers = mock.bootstrap_servers();
    }

    void start() {
        auto meta = storage::open_meta(dir.path());
        REQUIRE(meta);
        auto started = Forwarder::start(
            {.gateway_id = "gw"},
            log,
            std::move(meta).value(),
            [this](upstream::Waker& waker, std::string& problem) {
                return upstream::make_rdkafka_producer(settings, waker, problem);
            },
            {.post = [](const std::function<void()>& task) { task(); },
             .on_loss =
                 [this](const storage::Gap& gap) {
                     losses.push_back(gap);
                 }},
            [](int level, std::string_view line) {
                if (std::getenv("MILEPOST_TEST_LOG") == nullptr) return;
                std::cerr << level << ' ' << line << '\n';
            }
        );
        REQUIRE(started);
        forwarder = std::move(started).value();
    }

    template <class Condition>
    bool eventually(Condition condition) {
        return test::wait_until(condition, patience);
    }

    bool forwarded(PartitionId id, std::int64_t offset) {
        return eventually([&] { return log.positions(id).forwarded >= Offset{offset}; });
    }

    // The ids of the log's records in the order in which a partition of the upstream has them.
    std::vector<std::string> ids_upstream(const std::string& topic, int partition) {
        std::string problem;
        upstream::ClientSettings reading{.bootstrap_servers = mock.bootstrap_servers()};
        auto consumer = upstream::make_rdkafka_consumer(reading, {topic}, problem);
        REQUIRE(consumer);
        std::vector<std::string> ids;
        const auto read = (*consumer)->read_to_end(patience, [&](const auto& record) {
            if (record.partition != partition) return;
            for (const auto& header : record.headers) {
                if (header.name == "mp.id") ids.emplace_back(as_text(header.value));
            }
        });
        REQUIRE(read);
        REQUIRE(read->reached_end);
        return ids;
    }

    // Every offset of the log is there, in order; copies only of what came right before.
    void check_upstream(
        const std::string& topic,
        int partition,
        std::int64_t records,
        bool copies
    ) {
        const auto found = ids_upstream(topic, partition);
        std::int64_t next = 0;
        for (const auto& found_id : found) {
            const std::string id = "gw/00000000000000aa/" + topic + "-" +
                                   std::to_string(partition) + "/" + std::to_string(next);
            if (found_id == id) {
                ++next;
            } else if (!copies) {
                CHECK(found_id == id);
            }
        }
        CHECK(next == records);
        if (!copies) CHECK(found.size() == static_cast<std::size_t>(records));
    }

    TempDir dir;
    MemoryLog log;
    MockCluster mock;
    upstream::ProducerSettings settings;
    std::vector<storage::Gap> losses;  // the forwarder's thread
    std::unique_ptr<Forwarder> forwarder;
};

}  // namespace

TEST_CASE("forward_mock: a backlog arrives whole, in order, under its ids", "[forward]") {
    Bench bench{3};
    bench.mock.create_topic("t", 4);
    const auto ids = bench.log.ensure_topic("t", 4).value();
    for (const auto id : ids) {
        for (int batch = 0; batch < 10; ++batch) {
            bench.log.add(id, {.count = 500, .codec = storage::Codec::zstd});
        }
    }
    bench.start();
    for (const auto id : ids) {
        CHECK(bench.forwarded(id, 5000));
    }
    for (int partition = 0; partition < 4; ++partition) {
        bench.check_upstream("t", partition, 5000, false);
    }
    CHECK(bench.forwarder->stats().records.value() == 20'000);
    CHECK(bench.forwarder->stats().producers.value() == 1);
}

TEST_CASE("forward_mock: an outage is waited out and nothing is lost", "[forward]") {
    Bench bench{1};
    bench.mock.create_topic("t", 1);
    const auto id = bench.log.ensure_topic("t", 1).value()[0];
    bench.start();
    bench.log.add(id, {.count = 100});
    CHECK(bench.forwarded(id, 100));
    bench.mock.set_down(1);
    for (int batch = 0; batch < 20; ++batch) {
        bench.log.add(id, {.count = 100});
    }
    CHECK(bench.eventually([&] {
        const auto status = bench.forwarder->status();
        return status.brokers_connected == 0 && !status.degraded.empty();
    }));
    CHECK(bench.log.positions(id).forwarded == Offset{100});
    bench.mock.set_up(1);
    CHECK(bench.forwarded(id, 2100));
    bench.check_upstream("t", 0, 2100, false);
    CHECK(bench.forwarder->stats().producers.value() == 1);
}

TEST_CASE("forward_mock: an upstream that is away at the start is waited for", "[forward]") {
    Bench bench{1};
    bench.mock.create_topic("t", 1);
    bench.mock.set_down(1);
    const auto id = bench.log.ensure_topic("t", 1).value()[0];
    bench.log.add(id, {.count = 10});
    bench.start();
    CHECK(bench.eventually([&] { return !bench.forwarder->status().last_error.empty(); }));
    bench.mock.set_up(1);
    CHECK(bench.forwarded(id, 10));
    CHECK(bench.eventually([&] { return bench.forwarder->status().degraded.empty(); }));
}

TEST_CASE("forward_mock: errors that pass are retried in order by the library", "[forward]") {
    Bench bench{1};
    bench.mock.create_topic("t", 1);
    const auto id = bench.log.ensure_topic("t", 1).value()[0];
    rd_kafka_mock_push_request_errors(
        bench.mock.get(),
        0,  // Produce
        5,
        RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS,
        RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
        RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT,
        RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR,
        RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS
    );
    bench.log.add(id, {.count = 1000});
    bench.start();
    CHECK(bench.forwarded(id, 1000));
    bench.check_upstream("t", 0, 1000, false);
    CHECK(bench.forwarder->stats().producers.value() == 1);
}

TEST_CASE(
    "forward_mock: a forbidden topic waits, a new producer carries the others on",
    "[forward]"
) {
    Bench bench{1};
    bench.mock.create_topic("bad", 1);
    bench.mock.create_topic("good", 1);
    const auto bad = bench.log.ensure_topic("bad", 1).value()[0];
    const auto good = bench.log.ensure_topic("good", 1).value()[0];
    bench.start();
    bench.log.add(good, {.count = 10});
    CHECK(bench.forwarded(good, 10));

    // The broker refuses the next Produce request, which is the bad topic's.
    rd_kafka_mock_push_request_errors(
        bench.mock.get(),
        0,
        1,
        RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED
    );
    bench.log.add(bad, {.count = 10});
    CHECK(bench.eventually([&] { return bench.forwarder->stats().producers.value() == 2; }));
    bench.log.add(good, {.count = 10});
    CHECK(bench.forwarded(good, 20));
    CHECK(bench.forwarded(bad, 10));
    bench.check_upstream("bad", 0, 10, false);
    bench.check_upstream("good", 0, 20, true);
    const auto& faults = bench.forwarder->stats().faults;
    CHECK(faults[static_cast<std::size_t>(upstream::Fault::topic)].value() > 0);
}

TEST_CASE(
    "forward_mock: a fatal error is answered with a new producer, no record is lost",
    "[forward]"
) {
    Bench bench{1};
    bench.mock.create_topic("t", 2);
    const auto ids = bench.log.ensure_topic("t", 2).value();
    rd_kafka_mock_push_request_errors(
        bench.mock.get(),
        0,
        1,
        RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER
    );
    for (const auto id : ids) {
        bench.log.add(id, {.count = 1000});
    }
    bench.start();
    for (const auto id : ids) {
        CHECK(bench.forwarded(id, 1000));
    }
    CHECK(bench.forwarder->stats().producers.value() == 2);
    bench.check_upstream("t", 0, 1000, true);
    bench.check_upstream("t", 1, 1000, true);
}

TEST_CASE("forward_mock: a batch that is refused loses none of its records", "[forward]") {
    Bench bench{1};
    bench.mock.create_topic("t", 1);
    const auto id = bench.log.ensure_topic("t", 1).value()[0];
    rd_kafka_mock_push_request_errors(
        bench.mock.get(),
        0,
        2,
        RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE,
        RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE
    );
    bench.log.add(id, {.count = 1000});
    bench.start();
    CHECK(bench.forwarded(id, 1000));
    bench.check_upstream("t", 0, 1000, false);
    bench.forwarder->stop(seconds{5});
    CHECK(bench.losses.empty());
}

TEST_CASE("forward_mock: a record that is refused alone goes to the dead letters", "[forward]") {
    Bench bench{1};
    bench.mock.create_topic("t", 1);
    bench.mock.create_topic("t.dead-letter", 1);
    const auto id = bench.log.ensure_topic("t", 1).value()[0];
    bench.log.ensure_topic("t.dead-letter", 1).value();
    rd_kafka_mock_push_request_errors(bench.mock.get(), 0, 1, RD_KAFKA_RESP_ERR_INVALID_RECORD);
    bench.log.add(id, {.count = 1});
    bench.start();
    CHECK(bench.forwarded(id, 1));
    bench.log.add(id, {.count = 5});
    CHECK(bench.forwarded(id, 6));
    CHECK(bench.forwarded(PartitionId{1}, 1));
    CHECK(bench.ids_upstream("t", 0).front() == "gw/00000000000000aa/t-0/1");
    bench.check_upstream("t.dead-letter", 0, 1, false);
    bench.forwarder->stop(seconds{5});
    REQUIRE(bench.losses.size() == 1);
    CHECK(bench.losses[0].reason == "poison");
    // A later run does not send it either.
    bench.start();
    bench.log.add(id, {.count = 1});
    CHECK(bench.forwarded(id, 7));
    CHECK(bench.ids_upstream("t", 0).size() == 6);
}

TEST_CASE("forward_mock: after a restart it goes on behind the saved position", "[forward]") {
    Bench bench{1};
    bench.mock.create_topic("t", 1);
    const auto id = bench.log.ensure_topic("t", 1).value()[0];
    bench.log.add(id, {.count = 100});
    bench.start();
    CHECK(bench.forwarded(id, 100));
    bench.forwarder->stop(seconds{5});
    bench.log.add(id, {.count = 50});
    bench.start();
    CHECK(bench.forwarded(id, 150));
    bench.check_upstream("t", 0, 150, false);
}

TEST_CASE("forward_mock: a reader goes on where it was and names what is missing", "[forward]") {
    Bench bench{1};
    bench.mock.create_topic("t", 2);
    const auto ids = bench.log.ensure_topic("t", 2).value();
    bench.log.add(ids[0], {.count = 30});
    bench.start();
    CHECK(bench.forwarded(ids[0], 30));
    std::string problem;
    auto consumer = upstream::make_rdkafka_consumer(
        {.bootstrap_servers = bench.mock.bootstrap_servers()},
        {"t"},
        problem
    );
    REQUIRE(consumer);
    std::vector<std::string> keys;
    const auto note = [&](const upstream::ConsumedRecord& record) {
        keys.emplace_back(as_text(record.key.value()));
        CHECK(record.headers.size() >= 2);
    };
    auto read = (*consumer)->read_to_end(patience, note);
    REQUIRE(read);
    CHECK(read->records == 30);
    bench.log.add(ids[1], {.key = "V2", .count = 5});
    CHECK(bench.forwarded(ids[1], 5));
    read = (*consumer)->read_to_end(patience, note);
    REQUIRE(read);
    CHECK(read->reached_end);
    CHECK(read->records == 5);
    CHECK(keys.back() == "V2");
}

TEST_CASE("forward_mock: stopping while the upstream is away keeps its time limit", "[forward]") {
    Bench bench{1};
    bench.mock.create_topic("t", 1);
    const auto id = bench.log.ensure_topic("t", 1).value()[0];
    bench.start();
    bench.log.add(id, {.count = 10});
    CHECK(bench.forwarded(id, 10));
    bench.mock.set_down(1);
    bench.log.add(id, {.count = 10});
    CHECK(bench.eventually([&] { return bench.forwarder->stats().in_flight_records.value() > 0; }));
    const Instant begin = monotonic_now();
    bench.forwarder->stop(seconds{1});
    CHECK(monotonic_now() - begin < seconds{8});
    bench.mock.set_up(1);
    bench.start();
    CHECK(bench.forwarded(id, 20));
    bench.check_upstream("t", 0, 20, true);
}
