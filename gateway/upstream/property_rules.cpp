#include "gateway/upstream/property_rules.hpp"

#include <algorithm>
#include <array>

namespace milepost::upstream {

namespace {

constexpr std::string_view needs_idempotence = "order and no doubles need the idempotent producer";
constexpr std::string_view needs_acks_all =
    "nothing counts as forwarded before acks=all confirms it";
constexpr std::string_view never_gives_up = "a reading is never given up, however long it takes";
constexpr std::string_view needs_reports = "delivery reports move the forward position";
constexpr std::string_view own_partition =
    "the gateway chooses the partition, so that order is kept";
constexpr std::string_view own_servers = "use upstream.bootstrap_servers";
constexpr std::string_view own_compression = "use upstream.compression";
constexpr std::string_view own_identity = "it is made from gateway_id and must stay the same";
constexpr std::string_view no_groups = "the gateway joins no consumer group";
constexpr std::string_view no_commits = "nobody but the forwarder commits a position";
constexpr std::string_view no_code = "it would load code into the gateway";
constexpr std::string_view for_tests = "records would go to a make-believe cluster";
constexpr std::string_view own_events = "the gateway serves librdkafka's events itself";
constexpr std::string_view own_signals = "the gateway has signals of its own";
constexpr std::string_view own_topics = "use upstream.create_topics";
constexpr std::string_view all_topics =
    "its topics would wait for ever: use forward = false of [[topic]]";
constexpr std::string_view read_committed = "the upstream is read with read_committed, to its end";
constexpr std::string_view real_version =
    "headers and transactions need what the broker says it can do";
constexpr std::string_view only_program = "only a program can set it, not a text";

constexpr std::array of_reading = {
    std::string_view{"auto.offset.reset"},
    std::string_view{"check.crcs"},
    std::string_view{"consume.callback.max.messages"},
    std::string_view{"fetch.error.backoff.ms"},
    std::string_view{"fetch.max.bytes"},
    std::string_view{"fetch.message.max.bytes"},
    std::string_view{"fetch.min.bytes"},
    std::string_view{"fetch.queue.backoff.ms"},
    std::string_view{"fetch.wait.max.ms"},
    std::string_view{"group.protocol"},
    std::string_view{"group.protocol.type"},
    std::string_view{"group.remote.assignor"},
    std::string_view{"heartbeat.interval.ms"},
    std::string_view{"max.partition.fetch.bytes"},
    std::string_view{"max.poll.interval.ms"},
    std::string_view{"partition.assignment.strategy"},
    std::string_view{"queued.max.messages.kbytes"},
    std::string_view{"queued.min.messages"},
    std::string_view{"receive.message.max.bytes"},
    std::string_view{"session.timeout.ms"},
};

constexpr std::array rules = {
    // Refused.
    PropertyRule{"enable.idempotence", needs_idempotence},
    PropertyRule{"enable.gapless.guarantee", needs_idempotence},
    PropertyRule{"queuing.strategy", needs_idempotence},
    PropertyRule{"msg_order_cmp", needs_idempotence},
    PropertyRule{"acks", needs_acks_all},
    PropertyRule{"request.required.acks", needs_acks_all},
    PropertyRule{"retries", never_gives_up},
    PropertyRule{"message.send.max.retries", never_gives_up},
    PropertyRule{"message.timeout.ms", never_gives_up},
    PropertyRule{"delivery.timeout.ms", never_gives_up},
    PropertyRule{"delivery.report.only.error", needs_reports},
    PropertyRule{"produce.offset.report", needs_reports},
    PropertyRule{"partitioner", own_partition},
    PropertyRule{"partitioner_cb", own_partition},
    PropertyRule{"bootstrap.servers", own_servers},
    PropertyRule{"metadata.broker.list", own_servers},
    PropertyRule{"compression.type", own_compression},
    PropertyRule{"compression.codec", own_compression},
    PropertyRule{"transactional.id", own_identity},
    PropertyRule{"transaction.timeout.ms", own_identity},
    PropertyRule{"group.id", no_groups},
    PropertyRule{"group.instance.id", no_groups},
    PropertyRule{"enable.auto.commit", no_commits},
    PropertyRule{"auto.commit.enable", no_commits},
    PropertyRule{"auto.commit.interval.ms", no_commits},
    PropertyRule{"enable.auto.offset.store", no_commits},
    PropertyRule{"offset.store.method", no_commits},
    PropertyRule{"offset.store.path", no_commits},
    PropertyRule{"offset.store.sync.interval.ms", no_commits},
    PropertyRule{"plugin.library.paths", no_code},
    PropertyRule{"interceptors", no_code},
    PropertyRule{"ssl.engine.location", no_code},
    PropertyRule{"test.mock.num.brokers", for_tests},
    PropertyRule{"test.mock.broker.rtt", for_tests},
    PropertyRule{"enabled_events", own_events},
    PropertyRule{"log.queue", own_events},
    PropertyRule{"enable_sasl_queue", own_events},
    PropertyRule{"internal.termination.signal", own_signals},
    PropertyRule{"allow.auto.create.topics", own_topics},
    PropertyRule{"topic.blacklist", all_topics},
    PropertyRule{"isolation.level", read_committed},
    PropertyRule{"enable.partition.eof", read_committed},
    PropertyRule{"api.version.request", real_version},
    PropertyRule{"api.version.fallback.ms", real_version},
    PropertyRule{"broker.version.fallback", real_version},
    PropertyRule{"error_cb", only_program},
    PropertyRule{"throttle_cb", only_program},
    PropertyRule{"stats_cb", only_program},
    PropertyRule{"log_cb", only_program},
    PropertyRule{"background_event_cb", only_program},
    PropertyRule{"socket_cb", only_program},
    PropertyRule{"connect_cb", only_program},
    PropertyRule{"closesocket_cb", only_program},
    PropertyRule{"open_cb", only_program},
    PropertyRule{"resolve_cb", only_program},
    PropertyRule{"opaque", only_program},
    PropertyRule{"default_topic_conf", only_program},
    PropertyRule{"ssl_key", only_program},
    PropertyRule{"ssl_certificate", only_program},
    PropertyRule{"ssl_ca", only_program},
    PropertyRule{"ssl_engine_callback_data", only_program},
    PropertyRule{"ssl.certificate.verify_cb", only_program},
    PropertyRule{"oauthbearer_token_refresh_cb", only_program},
    PropertyRule{"consume_cb", only_program},
    PropertyRule{"rebalance_cb", only_program},
    PropertyRule{"offset_commit_cb", only_program},
    PropertyRule{"dr_cb", only_program},
    PropertyRule{"dr_msg_cb", only_program},
    // Passed through; some within bounds (rdkafka_properties.cpp).
    PropertyRule{"api.version.request.timeout.ms"},
    PropertyRule{"auto.offset.reset"},
    PropertyRule{"batch.num.messages"},
    PropertyRule{"batch.size"},
    PropertyRule{"broker.address.family"},
    PropertyRule{"broker.address.ttl"},
    PropertyRule{"builtin.features"},
    PropertyRule{"check.crcs"},
    PropertyRule{"client.dns.lookup"},
    PropertyRule{"client.id"},
    PropertyRule{"client.rack"},
    PropertyRule{"compression.level"},
    PropertyRule{"connections.max.idle.ms"},
    PropertyRule{"consume.callback.max.messages"},
    PropertyRule{"coordinator.query.interval.ms"},
    PropertyRule{"debug"},
    PropertyRule{"enable.metrics.push"},
    PropertyRule{"enable.random.seed"},
    PropertyRule{"enable.sasl.oauthbearer.unsecure.jwt"},
    PropertyRule{"enable.ssl.certificate.verification"},
    PropertyRule{"fetch.error.backoff.ms"},
    PropertyRule{"fetch.max.bytes"},
    PropertyRule{"fetch.message.max.bytes"},
    PropertyRule{"fetch.min.bytes"},
    PropertyRule{"fetch.queue.backoff.ms"},
    PropertyRule{"fetch.wait.max.ms"},
    PropertyRule{"group.protocol"},
    PropertyRule{"group.protocol.type"},
    PropertyRule{"group.remote.assignor"},
    PropertyRule{"heartbeat.interval.ms"},
    PropertyRule{"https.ca.location"},
    PropertyRule{"https.ca.pem"},
    PropertyRule{"linger.ms"},
    PropertyRule{"log.connection.close"},
    PropertyRule{"log.thread.name"},
    PropertyRule{"log_level"},
    PropertyRule{"max.in.flight"},
    PropertyRule{"max.in.flight.requests.per.connection"},
    PropertyRule{"max.partition.fetch.bytes"},
    PropertyRule{"max.poll.interval.ms"},
    PropertyRule{"message.copy.max.bytes"},
    PropertyRule{"message.max.bytes"},
    PropertyRule{"metadata.max.age.ms"},
    PropertyRule{"metadata.recovery.rebootstrap.trigger.ms"},
    PropertyRule{"metadata.recovery.strategy"},
    PropertyRule{"partition.assignment.strategy"},
    PropertyRule{"queue.buffering.backpressure.threshold"},
    PropertyRule{"queue.buffering.max.kbytes"},
    PropertyRule{"queue.buffering.max.messages"},
    PropertyRule{"queue.buffering.max.ms"},
    PropertyRule{"queued.max.messages.kbytes"},
    PropertyRule{"queued.min.messages"},
    PropertyRule{"receive.message.max.bytes"},
    PropertyRule{"reconnect.backoff.jitter.ms"},
    PropertyRule{"reconnect.backoff.max.ms"},
    PropertyRule{"reconnect.backoff.ms"},
    PropertyRule{"request.timeout.ms"},
    PropertyRule{"retry.backoff.max.ms"},
    PropertyRule{"retry.backoff.ms"},
    PropertyRule{"sasl.kerberos.keytab"},
    PropertyRule{"sasl.kerberos.kinit.cmd"},
    PropertyRule{"sasl.kerberos.min.time.before.relogin"},
    PropertyRule{"sasl.kerberos.principal"},
    PropertyRule{"sasl.kerberos.service.name"},
    PropertyRule{"sasl.mechanism"},
    PropertyRule{"sasl.mechanisms"},
    PropertyRule{"sasl.oauthbearer.assertion.algorithm"},
    PropertyRule{"sasl.oauthbearer.assertion.claim.aud"},
    PropertyRule{"sasl.oauthbearer.assertion.claim.exp.seconds"},
    PropertyRule{"sasl.oauthbearer.assertion.claim.iss"},
    PropertyRule{"sasl.oauthbearer.assertion.claim.jti.include"},
    PropertyRule{"sasl.oauthbearer.assertion.claim.nbf.seconds"},
    PropertyRule{"sasl.oauthbearer.assertion.claim.sub"},
    PropertyRule{"sasl.oauthbearer.assertion.file"},
    PropertyRule{"sasl.oauthbearer.assertion.jwt.template.file"},
    PropertyRule{"sasl.oauthbearer.assertion.private.key.file"},
    PropertyRule{"sasl.oauthbearer.assertion.private.key.passphrase"},
    PropertyRule{"sasl.oauthbearer.assertion.private.key.pem"},
    PropertyRule{"sasl.oauthbearer.client.credentials.client.id"},
    PropertyRule{"sasl.oauthbearer.client.credentials.client.secret"},
    PropertyRule{"sasl.oauthbearer.client.id"},
    PropertyRule{"sasl.oauthbearer.client.secret"},
    PropertyRule{"sasl.oauthbearer.config"},
    PropertyRule{"sasl.oauthbearer.extensions"},
    PropertyRule{"sasl.oauthbearer.grant.type"},
    PropertyRule{"sasl.oauthbearer.metadata.authentication.type"},
    PropertyRule{"sasl.oauthbearer.method"},
    PropertyRule{"sasl.oauthbearer.scope"},
    PropertyRule{"sasl.oauthbearer.sub.claim.name"},
    PropertyRule{"sasl.oauthbearer.token.endpoint.url"},
    PropertyRule{"sasl.password"},
    PropertyRule{"sasl.username"},
    PropertyRule{"security.protocol"},
    PropertyRule{"session.timeout.ms"},
    PropertyRule{"socket.blocking.max.ms"},
    PropertyRule{"socket.connection.setup.timeout.ms"},
    PropertyRule{"socket.keepalive.enable"},
    PropertyRule{"socket.max.fails"},
    PropertyRule{"socket.nagle.disable"},
    PropertyRule{"socket.receive.buffer.bytes"},
    PropertyRule{"socket.send.buffer.bytes"},
    PropertyRule{"socket.timeout.ms"},
    PropertyRule{"ssl.ca.certificate.stores"},
    PropertyRule{"ssl.ca.location"},
    PropertyRule{"ssl.ca.pem"},
    PropertyRule{"ssl.certificate.location"},
    PropertyRule{"ssl.certificate.pem"},
    PropertyRule{"ssl.cipher.suites"},
    PropertyRule{"ssl.crl.location"},
    PropertyRule{"ssl.curves.list"},
    PropertyRule{"ssl.endpoint.identification.algorithm"},
    PropertyRule{"ssl.engine.id"},
    PropertyRule{"ssl.key.location"},
    PropertyRule{"ssl.key.password"},
    PropertyRule{"ssl.key.pem"},
    PropertyRule{"ssl.keystore.location"},
    PropertyRule{"ssl.keystore.password"},
    PropertyRule{"ssl.providers"},
    PropertyRule{"ssl.sigalgs.list"},
    PropertyRule{"statistics.interval.ms"},
    PropertyRule{"sticky.partitioning.linger.ms"},
    PropertyRule{"topic.metadata.propagation.max.ms"},
    PropertyRule{"topic.metadata.refresh.fast.cnt"},
    PropertyRule{"topic.metadata.refresh.fast.interval.ms"},
    PropertyRule{"topic.metadata.refresh.interval.ms"},
    PropertyRule{"topic.metadata.refresh.sparse"},
};

}  // namespace

std::span<const PropertyRule> property_rules() {
    return rules;
}

bool is_of_reading(std::string_view name) {
    return std::find(of_reading.begin(), of_reading.end(), name) != of_reading.end();
}

const PropertyRule* rule_of(std::string_view name) {
    const auto* const found = std::find_if(rules.begin(), rules.end(), [name](const auto& rule) {
        return rule.name == name;
    });
    return found == rules.end() ? nullptr : found;
}

}  // namespace milepost::upstream
