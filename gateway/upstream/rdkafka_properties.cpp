#include "gateway/upstream/client_settings.hpp"
#include "gateway/upstream/property_rules.hpp"
#include "gateway/upstream/rdkafka_handles.hpp"
#include "gateway/upstream/secret_file.hpp"

#include <librdkafka/rdkafka.h>
#include <strings.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>

namespace milepost::upstream {

namespace {

constexpr int scram_version_min = 0x020601ff;  // the client nonce is sent as RFC 5802 wants it

constexpr std::string_view not_known_yet =
    "this release does not know it and cannot say whether its promises would hold";

struct Bound {
    std::string_view name;
    std::int64_t at_least;
    std::int64_t at_most;
    std::string_view reason;
};

constexpr std::string_view bounded_memory =
    "the log is the queue; librdkafka's own must stay small";
constexpr std::string_view whole_records = "every record that the log takes must fit";
constexpr std::string_view orderly_retries = "with more, order and no doubles do not hold";
constexpr std::string_view ends_hangs = "a request that hangs is ended by a new connection";
constexpr std::string_view seen_brokers = "the status has its brokers from it";

constexpr std::int64_t queue_messages_most = 100'000;  // librdkafka's own default

constexpr std::array bounds = {
    Bound{"max.in.flight", 1, 5, orderly_retries},
    Bound{"max.in.flight.requests.per.connection", 1, 5, orderly_retries},
    Bound{"queue.buffering.max.messages", 1'000, queue_messages_most, bounded_memory},
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
    Bound{"socket.max.fails", 1, 10, ends_hangs},
    Bound{"statistics.interval.ms", 1'000, 30'000, seen_brokers},
};

// librdkafka's own condition on a transactional producer.
constexpr std::int64_t request_margin_ms = 100;
constexpr Bound transactional_bound{
    "socket.timeout.ms",
    10,
    transaction_timeout.count() + request_margin_ms,
    "with delivery = \"exactly_once\" a request must not outlive its transaction"};

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

// librdkafka 2.8 masks every secret in what it writes of its configuration but this one.
constexpr std::string_view writes_secrets =
    "with conf or all it writes sasl.oauthbearer.client.secret into the log: name others";

// Whether librdkafka, with what was set, would write its configuration. `all` comes back as a list.
bool writes_configuration(const rd_kafka_conf_t* conf) {
    std::array<char, error_text_bytes> contexts{};
    std::size_t size = contexts.size();
    if (rd_kafka_conf_get(conf, "debug", contexts.data(), &size) != RD_KAFKA_CONF_OK) return true;
    const std::string list = "," + std::string{contexts.data()} + ",";
    return list.find(",conf,") != std::string::npos || list.find(",all,") != std::string::npos;
}

bool is_mechanism(std::string_view name) {
    return name == "sasl.mechanism" || name == "sasl.mechanisms";
}

std::string refused(std::string_view reason) {
    return "not accepted: " + std::string{reason};
}

}  // namespace

std::optional<std::string> check_property(std::string_view name, std::string_view value) {
    const auto* const rule = rule_of(name);
    if (rule != nullptr && !rule->refusal.empty()) return refused(rule->refusal);
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
    if (rule == nullptr && set != RD_KAFKA_CONF_UNKNOWN) return refused(not_known_yet);
    if (set != RD_KAFKA_CONF_OK) return std::string{error.data()};
    if (name == "debug" && writes_configuration(conf.get())) return refused(writes_secrets);
    return std::nullopt;
}

std::optional<std::string> check_transactional_property(
    std::string_view name,
    std::string_view value
) {
    if (name != transactional_bound.name) return std::nullopt;
    return out_of_bounds(transactional_bound, value);
}

std::optional<std::string> library_warning(const Properties& properties, int version) {
    const bool scram = std::any_of(properties.begin(), properties.end(), [](const auto& property) {
        return is_mechanism(property.first) && property.second.starts_with("SCRAM-");
    });
    if (!scram || version >= scram_version_min) return std::nullopt;
    return "this librdkafka (before 2.6.1) cannot log in with SCRAM to Kafka 4.x: use PLAIN over "
           "TLS "
           "or client certificates, or install librdkafka 2.8.0 "
           "(packaging/librdkafka-backport.sh builds it for Debian 12)";
}

// librdkafka takes these values in any case.
bool needs_sasl_plugins(const Properties& properties) {
    bool uses_sasl = false;
    bool is_kerberos = true;
    for (const auto& [name, value] : properties) {
        if (name == "security.protocol") uses_sasl = ::strncasecmp(value.c_str(), "sasl_", 5) == 0;
        if (is_mechanism(name)) is_kerberos = ::strcasecmp(value.c_str(), "GSSAPI") == 0;
    }
    return uses_sasl && is_kerberos;
}

int library_version() {
    return rd_kafka_version();
}

std::string library_version_text() {
    return rd_kafka_version_str();
}

}  // namespace milepost::upstream
