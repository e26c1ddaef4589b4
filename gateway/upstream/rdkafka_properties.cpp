#include "gateway/upstream/client_settings.hpp"
#include "gateway/upstream/rdkafka_handles.hpp"
#include "gateway/upstream/secret_file.hpp"

#include <librdkafka/rdkafka.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>

namespace milepost::upstream {

namespace {

constexpr std::size_t error_text_bytes = 512;
constexpr int scram_version_min = 0x020601ff;  // the client nonce is sent as RFC 5802 wants it

struct Refusal {
    std::string_view name;
    std::string_view reason;
};

constexpr std::string_view needs_acks_all =
    "nothing counts as forwarded before acks=all confirms it";
constexpr std::string_view needs_idempotence = "order and no doubles need the idempotent producer";
constexpr std::string_view needs_reports = "delivery reports move the forward position";
constexpr std::string_view never_gives_up = "a reading is never given up, however long it takes";
constexpr std::string_view own_partition =
    "the gateway chooses the partition, so that order is kept";
constexpr std::string_view own_servers = "use upstream.bootstrap_servers";
constexpr std::string_view own_compression = "use upstream.compression";
constexpr std::string_view own_identity = "it is made from gateway_id and must stay the same";
constexpr std::string_view no_groups = "the gateway joins no consumer group";
constexpr std::string_view no_code = "it would load code into the gateway";
constexpr std::string_view for_tests = "records would go to a make-believe cluster";
constexpr std::string_view own_events = "the gateway serves librdkafka's events itself";
constexpr std::string_view own_topics = "use upstream.create_topics";
constexpr std::string_view read_committed = "the upstream is read with read_committed";

constexpr std::array refusals = {
    Refusal{"enable.idempotence", needs_idempotence},
    Refusal{"enable.gapless.guarantee", needs_idempotence},
    Refusal{"queuing.strategy", needs_idempotence},
    Refusal{"acks", needs_acks_all},
    Refusal{"request.required.acks", needs_acks_all},
    Refusal{"retries", never_gives_up},
    Refusal{"message.send.max.retries", never_gives_up},
    Refusal{"message.timeout.ms", never_gives_up},
    Refusal{"delivery.timeout.ms", never_gives_up},
    Refusal{"delivery.report.only.error", needs_reports},
    Refusal{"produce.offset.report", needs_reports},
    Refusal{"partitioner", own_partition},
    Refusal{"bootstrap.servers", own_servers},
    Refusal{"metadata.broker.list", own_servers},
    Refusal{"compression.type", own_compression},
    Refusal{"compression.codec", own_compression},
    Refusal{"transactional.id", own_identity},
    Refusal{"transaction.timeout.ms", own_identity},
    Refusal{"group.id", no_groups},
    Refusal{"group.instance.id", no_groups},
    Refusal{"plugin.library.paths", no_code},
    Refusal{"test.mock.num.brokers", for_tests},
    Refusal{"enabled_events", own_events},
    Refusal{"log.queue", own_events},
    Refusal{"allow.auto.create.topics", own_topics},
    Refusal{"isolation.level", read_committed},
};

struct Bound {
    std::string_view name;
    std::int64_t at_least;
    std::int64_t at_most;
    std::string_view reason;
};

constexpr std::string_view bounded_memory =
    "the log is the queue; librdkafka's own must stay small";
constexpr std::string_view whole_records = "every record that the log takes must fit";

constexpr std::array bounds = {
    Bound{"max.in.flight", 1, 5, needs_idempotence},
    Bound{"max.in.flight.requests.per.connection", 1, 5, needs_idempotence},
    Bound{
        "queue.buffering.max.messages",
        1'000,
        static_cast<std::int64_t>(queue_messages_default),
        bounded_memory},
    Bound{
        "queue.buffering.max.kbytes",
        static_cast<std::int64_t>(4 * mib / kib),
        static_cast<std::int64_t>(queue_bytes_default / kib),
        bounded_memory},
    Bound{
        "message.max.bytes",
        static_cast<std::int64_t>(request_bytes_max),
        static_cast<std::int64_t>(8 * mib),
        whole_records},
};

std::optional<std::string> out_of_bounds(const Bound& bound, std::string_view value) {
    std::int64_t number = 0;
    const auto parsed = std::from_chars(value.data(), value.data() + value.size(), number);
    if (parsed.ec != std::errc{} || parsed.ptr != value.data() + value.size()) {
        return std::string{"not a number"};
    }
    if (number >= bound.at_least && number <= bound.at_most) return std::nullopt;
    return "must be from " + std::to_string(bound.at_least) + " to " +
           std::to_string(bound.at_most) + ": " + std::string{bound.reason};
}

}  // namespace

std::optional<std::string> check_property(std::string_view name, std::string_view value) {
    for (const auto& refusal : refusals) {
        if (refusal.name == name) return "not accepted: " + std::string{refusal.reason};
    }
    for (const auto& bound : bounds) {
        if (bound.name != name) continue;
        if (auto reason = out_of_bounds(bound, value)) return reason;
    }
    if (const auto secret = secret_of(name)) {
        std::string content;
        if (auto problem = read_secret(value, content)) return problem;
        return check_property(*secret, content);
    }
    const std::unique_ptr<rd_kafka_conf_t, DestroyConf> conf{rd_kafka_conf_new()};
    std::array<char, error_text_bytes> error{};
    const auto set = rd_kafka_conf_set(
        conf.get(),
        std::string{name}.c_str(),
        std::string{value}.c_str(),
        error.data(),
        error.size()
    );
    if (set == RD_KAFKA_CONF_OK) return std::nullopt;
    return std::string{error.data()};
}

std::optional<std::string> library_warning(const Properties& properties, int version) {
    const bool scram = std::any_of(properties.begin(), properties.end(), [](const auto& property) {
        const auto& [name, value] = property;
        return (name == "sasl.mechanism" || name == "sasl.mechanisms") &&
               value.starts_with("SCRAM-");
    });
    if (!scram || version >= scram_version_min) return std::nullopt;
    return "this librdkafka (before 2.6.1) cannot log in with SCRAM to Kafka 4.x: use PLAIN over "
           "TLS "
           "or client certificates, or install librdkafka 2.8.0 "
           "(packaging/librdkafka-backport.sh builds it for Debian 12)";
}

int library_version() {
    return rd_kafka_version();
}

std::string library_version_text() {
    return rd_kafka_version_str();
}

}  // namespace milepost::upstream
