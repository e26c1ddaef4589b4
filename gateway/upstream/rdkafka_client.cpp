#include "gateway/upstream/rdkafka_client.hpp"

#include "gateway/upstream/errc.hpp"
#include "gateway/upstream/secret_file.hpp"
#include "storage/base/units.hpp"

#include <librdkafka/rdkafka.h>

#include <array>
#include <chrono>
#include <string_view>
#include <utility>

namespace milepost::upstream {

namespace {

// What a client's threads look at until they have ended.
struct Kept {
    std::shared_ptr<const void> values;
    std::unique_ptr<Hearing> hearing;
};

void add(Properties& all, const Properties& more) {
    all.insert(all.end(), more.begin(), more.end());
}

// Positions sent first meet the markers of the transaction before and are tried again after
// retry.backoff.ms: the library's 100 ms would be most of a small transaction's time.
Properties defaults_of_mode(const ProducerSettings& settings) {
    if (settings.transactional_id.empty()) {
        return {
            {"linger.ms", std::to_string(settings.linger.count())},
            {"retry.backoff.ms", "100"},
        };
    }
    // Transactions are made as small as the link needs, so a request that takes longer hangs.
    return {{"linger.ms", "1"}, {"retry.backoff.ms", "1"}, {"socket.timeout.ms", "30000"}};
}

// message.timeout.ms stays at the transaction's time-out, so that a batch cannot outlive it.
// enable.gapless.guarantee is not for transactions: an abort leaves gaps in what was sent.
Properties promises_of_mode(const ProducerSettings& settings) {
    if (settings.transactional_id.empty()) {
        return {{"enable.gapless.guarantee", "true"}, {"message.timeout.ms", "0"}};
    }
    return {
        {"transactional.id", settings.transactional_id},
        {"transaction.timeout.ms", std::to_string(transaction_timeout.count())},
    };
}

// In this order: what a user may choose, then what the promises need.
Properties all_properties(const ProducerSettings& settings) {
    Properties all = {
        {"client.id", settings.client.client_id},
        {"batch.num.messages", "10000"},
        {"batch.size", "1000000"},
        {"reconnect.backoff.ms", "100"},
        {"reconnect.backoff.max.ms", "150"},
        {"socket.keepalive.enable", "true"},
        {"socket.nagle.disable", "true"},
        {"connections.max.idle.ms", "0"},
        {"log.connection.close", "false"},
        {"log_level", "5"},
        {"statistics.interval.ms", "5000"},
        {"queue.buffering.max.messages", std::to_string(settings.queue_messages)},
        {"queue.buffering.max.kbytes", std::to_string(settings.queue_bytes / kib)},
        {"message.max.bytes", std::to_string(request_bytes_max)},
    };
    add(all, defaults_of_mode(settings));
    add(all, settings.client.properties);
    add(all,
        {
            {"bootstrap.servers", settings.client.bootstrap_servers},
            {"compression.codec", settings.compression},
            {"enable.idempotence", "true"},
            {"acks", "all"},
            {"delivery.report.only.error", "false"},
            {"allow.auto.create.topics", "false"},
            {"log.queue", "true"},
        });
    add(all, promises_of_mode(settings));
    return all;
}

void on_throttle(
    rd_kafka_t* /*client*/,
    const char* /*broker*/,
    std::int32_t /*id*/,
    int held_ms,
    void* hearing
) {
    auto* const listener = static_cast<Hearing*>(hearing)->listener;
    // Below a millisecond: it is over.
    if (listener != nullptr && held_ms > 0) {
        listener->on_throttled(std::chrono::milliseconds{held_ms});
    }
}

// On a thread of librdkafka's, for each certificate of a broker's chain. OpenSSL has judged it:
// that judgement stands, it is only heard.
int on_certificate(
    rd_kafka_t* /*client*/,
    const char* broker,
    std::int32_t /*id*/,
    int* error,
    int depth,
    const char* certificate,
    std::size_t size,
    char* text,
    std::size_t text_size,
    void* hearing
) {
    if (*error == 0) return 1;
    const Bytes der{reinterpret_cast<const std::byte*>(certificate), size};
    auto reason = certificate_fault(*error, depth, der, broker, wall_now());
    if (text_size > 0) text[reason.copy(text, text_size - 1)] = '\0';
    static_cast<Hearing*>(hearing)->tls.note(broker, std::move(reason));
    return 0;
}

// Without verification OpenSSL would ask all the same.
bool verifies_certificates(const rd_kafka_conf_t* conf) {
    std::array<char, 8> value{};
    std::size_t size = value.size();
    const auto got =
        rd_kafka_conf_get(conf, "enable.ssl.certificate.verification", value.data(), &size);
    return got == RD_KAFKA_CONF_OK && std::string_view{value.data()} == "true";
}

}  // namespace

Result<void> set_properties(
    rd_kafka_conf_s* conf,
    const Properties& properties,
    std::string& problem
) {
    std::array<char, error_text_bytes> text{};
    for (const auto& [given_name, given] : properties) {
        std::string name = given_name;
        std::string value = given;
        if (const auto secret = secret_of(given_name)) {
            // Read each time: it may have been changed since.
            name = *secret;
            if (auto wrong = read_secret(given, value)) {
                problem = given_name + ": " + *wrong;
                return upstream_error(RD_KAFKA_RESP_ERR__INVALID_ARG);
            }
        }
        const auto set =
            rd_kafka_conf_set(conf, name.c_str(), value.c_str(), text.data(), text.size());
        if (set == RD_KAFKA_CONF_OK) continue;
        problem = text.data();
        return upstream_error(RD_KAFKA_RESP_ERR__INVALID_ARG);
    }
    return {};
}

Hearing& hearing_of(const SharedClient& client) {
    return *static_cast<Hearing*>(rd_kafka_opaque(client.get()));
}

Result<SharedClient> make_producer_client(const ProducerSettings& settings, std::string& problem) {
    ConfHandle conf{rd_kafka_conf_new()};
    if (const auto set = set_properties(conf.get(), all_properties(settings), problem); !set) {
        return set.error();
    }
    rd_kafka_conf_set_events(
        conf.get(),
        RD_KAFKA_EVENT_DR | RD_KAFKA_EVENT_ERROR | RD_KAFKA_EVENT_LOG | RD_KAFKA_EVENT_STATS
    );
    auto hearing = std::make_unique<Hearing>();
    rd_kafka_conf_set_opaque(conf.get(), hearing.get());
    rd_kafka_conf_set_throttle_cb(conf.get(), on_throttle);
    if (verifies_certificates(conf.get())) {
        rd_kafka_conf_set_ssl_cert_verify_cb(conf.get(), on_certificate);
    }
    std::array<char, error_text_bytes> text{};
    ClientHandle client{rd_kafka_new(RD_KAFKA_PRODUCER, conf.get(), text.data(), text.size())};
    if (!client) {
        problem = text.data();
        return upstream_error(rd_kafka_last_error());
    }
    conf.release();  // the client owns it now
    auto kept = std::make_shared<Kept>(Kept{.values = settings.kept, .hearing = std::move(hearing)}
    );
    return SharedClient{client.release(), DestroyClient{std::move(kept)}};
}

}  // namespace milepost::upstream
