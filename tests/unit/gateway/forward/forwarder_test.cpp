#include "gateway/forward/forwarder.hpp"

#include "storage/meta/schema.hpp"
#include "tests/support/matchers.hpp"
#include "tests/support/memory_log.hpp"
#include "tests/support/temp_dir.hpp"

#include <chrono>
#include <condition_variable>
#include <mutex>

using namespace milepost;
using namespace milepost::forward;
using milepost::storage::Offset;
using milepost::storage::PartitionId;
using milepost::test::MemoryLog;
using milepost::test::TempDir;
using std::chrono::seconds;

namespace {

struct Manner {
    bool swallows = false;
    std::chrono::milliseconds serve_takes{0};
};

// Confirms at once, or swallows, what it is given.
class EchoProducer final : public upstream::Producer {
public:
    EchoProducer(upstream::Waker& waker, Manner manner)
        : waker_(waker)
        , manner_(manner) {}

    Result<upstream::TopicId> open_topic(std::string_view) override {
        return upstream::TopicId{topics_++};
    }

    Result<std::vector<upstream::TopicMetadata>> metadata(Duration) override {
        return std::vector<upstream::TopicMetadata>(
            topics_,
            upstream::TopicMetadata{.partitions = 2, .error = {}}
        );
    }

    Result<void> create_topic(std::string_view, std::int32_t, Duration) override { return {}; }

    ErrorCode produce(const upstream::OutgoingRecord& record) override {
        if (manner_.swallows) return {};
        reports_.push_back({.tag = record.tag, .bytes = record.key->size() + record.value->size()});
        waker_.wake();
        return {};
    }

    void serve(upstream::ProducerListener& listener) override {
        const Instant end = monotonic_now() + manner_.serve_takes;
        while (monotonic_now() < end)
            std::this_thread::yield();
        listener.on_reports(reports_);
        reports_.clear();
    }

    [[nodiscard]] std::optional<std::string> fatal_reason() const override { return std::nullopt; }

    void purge_queue() override {}

private:
    upstream::Waker& waker_;
    Manner manner_;
    std::uint32_t topics_ = 0;
    std::vector<upstream::DeliveryReport> reports_;
};

std::unique_ptr<Forwarder> start(MemoryLog& log, const TempDir& dir, Manner manner = {}) {
    auto meta = storage::open_meta(dir.path());
    REQUIRE(meta);
    auto forwarder = Forwarder::start(
        {.gateway_id = "gw"},
        log,
        std::move(meta).value(),
        [manner](upstream::Waker& waker, std::string&)
            -> Result<std::unique_ptr<upstream::Producer>> {
            return std::unique_ptr<upstream::Producer>{
                std::make_unique<EchoProducer>(waker, manner)};
        },
        {},
        [](int, std::string_view) {}
    );
    REQUIRE(forwarder);
    return std::move(forwarder).value();
}

void wait_forwarded(const MemoryLog& log, PartitionId id, Offset offset) {
    const Instant end = monotonic_now() + seconds{30};
    while (log.positions(id).forwarded < offset && monotonic_now() < end) {
        std::this_thread::yield();
    }
    REQUIRE(log.positions(id).forwarded == offset);
}

}  // namespace

TEST_CASE("forwarder: what becomes durable wakes it and is forwarded", "[forward]") {
    const TempDir dir;
    MemoryLog log;
    const auto ids = log.ensure_topic("t", 2).value();
    auto forwarder = start(log, dir);
    for (std::int64_t i = 1; i <= 200; ++i) {
        log.add(ids[static_cast<std::size_t>(i % 2)], {});
        if (i % 50 == 0) wait_forwarded(log, ids[0], Offset{i / 2});
    }
    wait_forwarded(log, ids[1], Offset{100});
    CHECK(forwarder->stats().records.value() >= 199);
}

TEST_CASE("forwarder: positions survive, and stopping sends what is left", "[forward]") {
    const TempDir dir;
    MemoryLog log;
    const auto ids = log.ensure_topic("t", 2).value();
    {
        auto forwarder = start(log, dir);
        log.add(ids[0], {.count = 100});
        wait_forwarded(log, ids[0], Offset{100});
        log.add(ids[1], {.count = 10});
        forwarder->stop(seconds{5});
    }
    CHECK(log.positions(ids[1]).forwarded == Offset{10});
    auto meta = storage::open_meta(dir.path());
    REQUIRE(meta);
    const auto stored = storage::PositionStore{*meta}.load(log.log_id());
    REQUIRE(stored);
    CHECK(
        stored.value() ==
        std::vector<storage::ForwardPosition>{
            {{"t", 0}, Offset{100}, Offset{0}},
            {{"t", 1}, Offset{10}, Offset{0}}}
    );
}

TEST_CASE("forwarder: a position of another log is not used", "[forward]") {
    const TempDir dir;
    {
        MemoryLog log{"00000000000000aa"};
        const auto id = log.ensure_topic("t", 1).value()[0];
        auto forwarder = start(log, dir);
        log.add(id, {.count = 5});
        wait_forwarded(log, id, Offset{5});
        forwarder->stop(seconds{5});
    }
    MemoryLog other{"00000000000000bb"};
    const auto id = other.ensure_topic("t", 1).value()[0];
    other.add(id, {.count = 9});
    auto forwarder = start(other, dir);
    wait_forwarded(other, id, Offset{9});
    CHECK(forwarder->stats().records.value() == 9);
}

TEST_CASE("forwarder: an upstream that never answers does not hold up stopping", "[forward]") {
    const TempDir dir;
    MemoryLog log;
    const auto id = log.ensure_topic("t", 1).value()[0];
    log.add(id, {.count = 5});
    auto forwarder = start(log, dir, {.swallows = true});
    const Instant begin = monotonic_now();
    while (forwarder->stats().in_flight_records.value() < 5) {
        std::this_thread::yield();
    }
    forwarder->stop(std::chrono::milliseconds{100});
    CHECK(monotonic_now() - begin < seconds{20});
    CHECK(log.positions(id).forwarded == Offset{0});
}

TEST_CASE("forwarder: turns that outlast the time for sending do not hurt stopping", "[forward]") {
    const TempDir dir;
    MemoryLog log;
    const auto id = log.ensure_topic("t", 1).value()[0];
    log.add(id, {.count = 5});
    auto forwarder =
        start(log, dir, {.swallows = true, .serve_takes = std::chrono::milliseconds{50}});
    while (forwarder->stats().in_flight_records.value() < 5) {
        std::this_thread::yield();
    }
    // Two thirds are for sending; a turn that begins before they end, ends behind them.
    forwarder->stop(std::chrono::milliseconds{135});
    CHECK(log.positions(id).forwarded == Offset{0});
}
