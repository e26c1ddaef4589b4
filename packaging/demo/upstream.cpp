// milepost-demo-upstream TOPIC[:PARTITIONS]...
//
// An upstream for the demo that needs no Java: librdkafka's mock cluster with one broker, in
// memory. It is a mock and says so. It speaks Kafka's protocol well enough for a producer and a
// consumer; it keeps at most 5 MiB or 100,000 batches a partition and does not de-duplicate a
// producer's retries. The tests use a real Apache Kafka instead.
//
// Prints its bootstrap servers as one line `host:port` on stdout when it is ready. SIGUSR1 takes
// the broker down (its connections break, new ones are refused), SIGUSR2 brings it back with what
// it kept, SIGTERM or SIGINT ends it.

#include <librdkafka/rdkafka.h>
// librdkafka demands this order.
#include <librdkafka/rdkafka_mock.h>

#include <array>
#include <charconv>
#include <csignal>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <sys/prctl.h>

namespace {

constexpr int the_broker = 1;
constexpr int partitions_default = 4;
constexpr int partitions_max = 1000;
constexpr int exit_usage = 64;

struct Topic {
    std::string name;
    int partitions = partitions_default;
};

struct HandleDeleter {
    void operator()(rd_kafka_t* handle) const { rd_kafka_destroy(handle); }
};

struct ClusterDeleter {
    void operator()(rd_kafka_mock_cluster_t* cluster) const {
        rd_kafka_mock_cluster_destroy(cluster);
    }
};

using Handle = std::unique_ptr<rd_kafka_t, HandleDeleter>;
using Cluster = std::unique_ptr<rd_kafka_mock_cluster_t, ClusterDeleter>;

// `vehicle.telemetry` or `vehicle.telemetry:8`; nothing when the number is none or out of range.
std::optional<Topic> parse_topic(std::string_view text) {
    const auto colon = text.find(':');
    auto topic = Topic{.name = std::string(text.substr(0, colon))};
    if (topic.name.empty()) {
        return std::nullopt;
    }
    if (colon != std::string_view::npos) {
        const auto number = text.substr(colon + 1);
        const auto* const end = number.data() + number.size();
        const auto parsed = std::from_chars(number.data(), end, topic.partitions);
        if (parsed.ec != std::errc{} || parsed.ptr != end || topic.partitions < 1 ||
            topic.partitions > partitions_max) {
            return std::nullopt;
        }
    }
    return topic;
}

Handle make_handle() {
    std::array<char, 512> why{};
    auto* const settings = rd_kafka_conf_new();
    rd_kafka_conf_set(settings, "log_level", "3", why.data(), why.size());
    Handle handle(rd_kafka_new(RD_KAFKA_PRODUCER, settings, why.data(), why.size()));
    if (!handle) {
        std::fprintf(stderr, "milepost-demo-upstream: %s\n", why.data());
    }
    return handle;
}

bool make_topics(rd_kafka_mock_cluster_t* cluster, const std::vector<Topic>& topics) {
    for (const auto& topic : topics) {
        const auto error =
            rd_kafka_mock_topic_create(cluster, topic.name.c_str(), topic.partitions, 1);
        if (error != RD_KAFKA_RESP_ERR_NO_ERROR) {
            std::fprintf(
                stderr,
                "milepost-demo-upstream: topic %s: %s\n",
                topic.name.c_str(),
                rd_kafka_err2str(error)
            );
            return false;
        }
    }
    return true;
}

// Returns when SIGTERM or SIGINT came.
void obey_signals(rd_kafka_mock_cluster_t* cluster, const sigset_t& signals) {
    while (true) {
        int number = 0;
        if (sigwait(&signals, &number) != 0) {
            continue;
        }
        if (number == SIGTERM || number == SIGINT) {
            return;
        }
        const bool down = number == SIGUSR1;
        const auto error = down ? rd_kafka_mock_broker_set_down(cluster, the_broker)
                                : rd_kafka_mock_broker_set_up(cluster, the_broker);
        std::fprintf(
            stderr,
            "milepost-demo-upstream: broker %s\n",
            error != RD_KAFKA_RESP_ERR_NO_ERROR ? rd_kafka_err2str(error) : (down ? "down" : "up")
        );
    }
}

}  // namespace

int main(int argc, char** argv) {
    std::vector<Topic> topics;
    for (int i = 1; i < argc; ++i) {
        auto topic = parse_topic(argv[i]);
        if (!topic) {
            std::fprintf(stderr, "usage: milepost-demo-upstream TOPIC[:PARTITIONS]...\n");
            return exit_usage;
        }
        topics.push_back(std::move(*topic));
    }
    // Blocked before librdkafka starts its threads, which inherit the mask.
    sigset_t signals;
    sigemptyset(&signals);
    for (const int number : {SIGTERM, SIGINT, SIGUSR1, SIGUSR2}) {
        sigaddset(&signals, number);
    }
    sigprocmask(SIG_BLOCK, &signals, nullptr);
    prctl(PR_SET_PDEATHSIG, SIGTERM);  // a demo that was killed leaves nothing running

    const auto handle = make_handle();
    if (!handle) {
        return 1;
    }
    const Cluster cluster(rd_kafka_mock_cluster_new(handle.get(), 1));
    if (!cluster || !make_topics(cluster.get(), topics)) {
        return 1;
    }
    std::printf("%s\n", rd_kafka_mock_cluster_bootstraps(cluster.get()));
    std::fflush(stdout);
    std::fprintf(stderr, "milepost-demo-upstream: librdkafka's mock cluster, not a real Kafka\n");
    obey_signals(cluster.get(), signals);
    return 0;
}
