// forward_bench HOST:PORT TOPIC [PARTITIONS] [RECORDS] [SECONDS_TO_STAY] [PRODUCERS]
// PRODUCERS: 0 at least once (the default), 1 or 2: exactly once over so many.
// Forwards a backlog of 200-byte readings from memory and reads it back: rate, CPU, and whether
// each record is there once and in order. The topic must be new, with that many partitions.
#include "gateway/forward/forwarder.hpp"
#include "gateway/upstream/consumer.hpp"
#include "gateway/upstream/rdkafka_producer.hpp"
#include "storage/meta/schema.hpp"
#include "tests/support/memory_log.hpp"
#include "tests/support/temp_dir.hpp"
#include "tests/support/wait_until.hpp"

#include <charconv>
#include <chrono>
#include <cstdio>
#include <ctime>

using namespace milepost;

namespace {

constexpr std::int32_t records_per_batch = 300;  // about 64 KiB

double cpu_seconds() {
    return static_cast<double>(std::clock()) / CLOCKS_PER_SEC;
}

double seconds_since(Instant begin) {
    return std::chrono::duration<double>(monotonic_now() - begin).count();
}

struct Judgement {
    std::uint64_t records = 0;
    std::uint64_t doubled = 0;
    std::uint64_t disordered = 0;
    std::uint64_t missing = 0;
};

// A record's offset is the number at the end of its mp.id.
std::int64_t offset_in(const upstream::ConsumedRecord& record) {
    std::int64_t offset = -1;
    for (const auto& header : record.headers) {
        if (header.name != "mp.id") continue;
        const auto id = as_text(header.value);
        const auto number = id.substr(id.rfind('/') + 1);
        std::from_chars(number.data(), number.data() + number.size(), offset);
    }
    return offset;
}

Judgement judge(
    const std::string& servers,
    const std::string& topic,
    std::int64_t each,
    int partitions
) {
    std::string problem;
    auto consumer =
        upstream::make_rdkafka_consumer({.bootstrap_servers = servers}, {topic}, problem);
    Judgement judgement;
    std::vector<std::int64_t> next(static_cast<std::size_t>(partitions), 0);
    const auto read = (*consumer)->read_to_end(
        std::chrono::minutes{2},
        [&](const upstream::ConsumedRecord& record) {
            const auto partition = static_cast<std::size_t>(record.partition);
            const auto offset = offset_in(record);
            ++judgement.records;
            if (offset == next[partition]) {
                ++next[partition];
            } else if (offset < next[partition]) {
                ++judgement.doubled;
            } else {
                ++judgement.disordered;
            }
        }
    );
    if (!read) std::printf("reading: %s\n", read.error().message().c_str());
    for (const auto end : next) {
        judgement.missing += static_cast<std::uint64_t>(each - end);
    }
    return judgement;
}

// A group and an id for each topic: the bench may be run again and again on one cluster.
forward::Forwarder::Delivery delivery(
    upstream::ProducerSettings settings,
    const std::string& topic,
    int producers
) {
    if (producers == 0) {
        return [settings](upstream::Waker& waker, std::string& problem) {
            return upstream::make_rdkafka_producer(settings, waker, problem);
        };
    }
    settings.group_id = "bench-" + topic;
    settings.queue_messages /= static_cast<std::size_t>(producers);
    settings.queue_bytes /= static_cast<std::size_t>(producers);
    return forward::Forwarder::ExactlyOnce{
        .producers = static_cast<std::size_t>(producers),
        .make = [settings](std::size_t number, upstream::Waker& waker, std::string& problem) {
            auto numbered = settings;
            numbered.transactional_id = settings.group_id + "-" + std::to_string(number);
            return upstream::make_rdkafka_transactional(numbered, waker, problem);
        }};
}

}  // namespace

int main(int count, char** arguments) {
    if (count < 3) return 64;
    const std::string servers = arguments[1];
    const std::string topic = arguments[2];
    const int partitions = count > 3 ? std::atoi(arguments[3]) : 4;
    const int records = count > 4 ? std::atoi(arguments[4]) : 1'000'000;
    const int batches = records / partitions / records_per_batch;
    const std::int64_t each = std::int64_t{batches} * records_per_batch;

    const test::TempDir dir;
    test::MemoryLog log;
    const auto ids = log.ensure_topic(topic, partitions).value();
    for (const auto id : ids) {
        for (int batch = 0; batch < batches; ++batch) {
            std::string value =
                "{\"v\":1,\"vss\":\"6.0\",\"vehicle\":\"V0001\",\"ts\":1795393770318,"
                "\"signals\":{\"Vehicle.Speed\":" +
                std::to_string(batch % 97) +
                ".2,"
                "\"Vehicle.CurrentLocation.Latitude\":48.13" +
                std::to_string(batch * 7919 % 9973) + ",\"Vehicle.Powertrain\":1}}";
            value.resize(192, ' ');
            log.add(
                id,
                {.key = "V0000001",
                 .value = value,
                 .count = records_per_batch,
                 .timestamp = wall_now(),
                 .codec = storage::Codec::zstd}
            );
        }
    }
    upstream::ProducerSettings settings;
    settings.client.bootstrap_servers = servers;
    const int producers_wanted = count > 6 ? std::atoi(arguments[6]) : 0;
    auto meta = storage::open_meta(dir.path());
    const double cpu_before = cpu_seconds();
    const Instant begin = monotonic_now();
    auto forwarder = forward::Forwarder::start(
        {.gateway_id = topic, .instance_id = "bench"},
        log,
        std::move(meta).value(),
        delivery(settings, topic, producers_wanted),
        {},
        [](int level, std::string_view line) {
            std::fprintf(stderr, "%d %.*s\n", level, static_cast<int>(line.size()), line.data());
        }
    );
    if (!forwarder) return 1;
    double first = 0;
    const auto total = static_cast<std::uint64_t>(each * partitions);
    const auto all_arrived = [&] {
        const auto arrived = (*forwarder)->stats().records.value();
        if (first == 0 && arrived > 0) first = seconds_since(begin);
        return arrived >= total;
    };
    if (!test::wait_until(all_arrived, std::chrono::minutes{5})) {
        std::fprintf(stderr, "not everything was confirmed within five minutes\n");
    }
    const double took = seconds_since(begin);
    const double cpu = cpu_seconds() - cpu_before;
    // To look at the process while it has nothing to do.
    if (count > 5) ::poll(nullptr, 0, std::atoi(arguments[5]) * 1000);
    (*forwarder)->stop(std::chrono::seconds{5});
    const auto producers = (*forwarder)->stats().producers.value();
    const auto found = judge(servers, topic, each, partitions);
    std::printf(
        "{\"records\":%llu,\"records_s\":%.0f,\"first_s\":%.3f,\"took_s\":%.2f,\"cpu_s_per_M\":%."
        "3f,"
        "\"producers\":%llu,\"upstream\":%llu,\"doubled\":%llu,\"disordered\":%llu,\"missing\":%"
        "llu}\n",
        static_cast<unsigned long long>(total),
        static_cast<double>(total) / took,
        first,
        took,
        cpu / static_cast<double>(total) * 1e6,
        static_cast<unsigned long long>(producers),
        static_cast<unsigned long long>(found.records),
        static_cast<unsigned long long>(found.doubled),
        static_cast<unsigned long long>(found.disordered),
        static_cast<unsigned long long>(found.missing)
    );
    return found.missing == 0 && found.disordered == 0 ? 0 : 1;
}
