#include "gateway/wiring.hpp"

#include "gateway/upstream/errc.hpp"
#include "gateway/upstream/rdkafka_producer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <random>
#include <utility>

#include <sys/sysinfo.h>

namespace milepost {

namespace {

constexpr std::uint64_t small_memory_bytes = gib;
// What is under way while Kafka keeps up; some 4 MiB.
constexpr std::size_t header_lists_kept = 16'384;

bool is_small_machine() {
    struct sysinfo info {};

    if (::sysinfo(&info) != 0) return false;
    return std::uint64_t{info.totalram} * info.mem_unit < small_memory_bytes;
}

forward::Priority priority_of(Priority priority) {
    switch (priority) {
        case Priority::high: return forward::Priority::high;
        case Priority::normal: return forward::Priority::normal;
        case Priority::low: return forward::Priority::low;
    }
    return forward::Priority::normal;
}

upstream::ProducerSettings producer_settings(const Config& config) {
    upstream::ProducerSettings settings;
    settings.client.bootstrap_servers = config.upstream->bootstrap_servers;
    settings.client.client_id = "milepost-" + config.gateway_id;
    settings.client.properties = config.upstream->librdkafka;
    settings.compression = config.upstream->compression;
    settings.header_lists_kept = header_lists_kept;
    if (is_small_machine()) settings.queue_bytes = upstream::queue_bytes_small_memory;
    return settings;
}

std::vector<admin::NamedCount> received_counts(const ingest::IntakeStats& intake) {
    return {
        {"qos0", intake.received_qos0.value()},
        {"qos1", intake.received_qos1.value()},
        {"qos2", intake.received_qos2.value()},
        {"will", intake.received_wills.value()},
    };
}

std::vector<admin::NamedCount> rejected_counts(const ingest::IntakeStats& intake) {
    return {
        {"qos0_overload", intake.rejected_qos0_overload.value()},
        {"no_route", intake.rejected_no_route.value()},
        {"too_large", intake.rejected_too_large.value()},
        {"acl", intake.rejected_acl.value()},
        {"duplicate", intake.rejected_duplicate.value()},
    };
}

// The same names in the same order.
void add_counts(std::vector<admin::NamedCount>& to, const std::vector<admin::NamedCount>& counts) {
    for (std::size_t i = 0; i < to.size(); ++i)
        to[i].count += counts[i].count;
}

}  // namespace

listener::Options listener_options(const MqttConfig& mqtt, const storage::LogConfig& log) {
    listener::Options options;
    for (const auto& configured : mqtt.listeners) {
        options.endpoints.push_back({configured.address, configured.port});
    }
    options.limits.packet_bytes_max = std::min(mqtt.packet_bytes_max, log.record_bytes);
    options.limits.client_id_bytes_max = mqtt.client_id_bytes_max;
    options.limits.in_flight_publishes_max = static_cast<std::uint16_t>(mqtt.in_flight_publishes_max
    );
    options.limits.in_flight_bytes_max = mqtt.in_flight_bytes_max;
    options.limits.keep_alive_s_max = static_cast<std::uint16_t>(mqtt.keep_alive_max.count());
    options.logins.queue_max = mqtt.waiting_logins_max;
    options.logins.remembered_max = mqtt.remembered_logins_max;
    options.connections_max = mqtt.connections_max;
    options.subscriptions_max = mqtt.subscriptions_max;
    options.filter_bytes_max = mqtt.topic_bytes_max;
    options.queue_messages_max = mqtt.queue_messages_max;
    options.queue_bytes_max = mqtt.queue_bytes_max;
    options.message_bytes_max = mqtt.message_bytes_max;
    options.retained_messages_max = mqtt.retained_messages_max;
    options.retained_bytes_max = mqtt.retained_bytes_max;
    options.connections_per_address_max = mqtt.connections_per_address_max;
    options.sessions_max = mqtt.sessions_max;
    options.publish_memory_bytes_max = mqtt.publish_memory_bytes_max;
    options.messages_per_s_max = mqtt.messages_per_s_max;
    options.bytes_per_s_max = mqtt.bytes_per_s_max;
    options.connect_timeout = mqtt.connect_timeout;
    options.write_timeout = mqtt.write_timeout;
    options.session_expiry_s_max = static_cast<std::uint32_t>(mqtt.session_expiry_max.count());
    return options;
}

forward::ForwardSettings forward_settings(const Config& config) {
    std::random_device random;
    const auto producer = producer_settings(config);
    forward::ForwardSettings settings;
    settings.gateway_id = config.gateway_id;
    settings.create_topics = config.upstream->create_topics;
    settings.queue_messages = producer.queue_messages;
    settings.queue_bytes = producer.queue_bytes;
    // The same at each start, and another one on each gateway of a fleet.
    settings.seed = std::hash<std::string>{}(config.gateway_id);
    settings.rates = {config.upstream->rate_bytes_per_s, config.upstream->rate_records_per_s};
    for (const auto& topic : config.topics)
        settings.priorities[topic.name] = priority_of(topic.priority);
    settings.instance_id = fmt::format("{:08x}{:08x}", random(), random());
    switch (config.upstream->on_missing_position) {
        case MissingPosition::local:
            settings.on_missing_position = forward::MissingPosition::local;
            break;
        case MissingPosition::earliest:
            settings.on_missing_position = forward::MissingPosition::earliest;
            break;
        case MissingPosition::fail:
            settings.on_missing_position = forward::MissingPosition::fail;
            break;
    }
    switch (config.upstream->position_first) {
        case PositionFirst::automatic:
            settings.position_first = forward::PositionFirst::automatic;
            break;
        case PositionFirst::always: settings.position_first = forward::PositionFirst::always; break;
        case PositionFirst::never: settings.position_first = forward::PositionFirst::never; break;
    }
    return settings;
}

std::string transactional_id(std::string_view gateway_id, std::size_t number) {
    auto id = fmt::format("milepost-{}", gateway_id);
    // A gateway_id has no slash.
    if (number > 0) id += fmt::format("/{}", number + 1);
    return id;
}

forward::Forwarder::Delivery delivery(const Config& config) {
    auto settings = producer_settings(config);
    if (config.upstream->delivery == Delivery::at_least_once) {
        return [settings](upstream::Waker& waker, std::string& problem) {
            return upstream::make_rdkafka_producer(settings, waker, problem);
        };
    }
    settings.group_id = "milepost-" + config.gateway_id;
    settings.queue_messages /= config.upstream->producers;
    settings.queue_bytes /= config.upstream->producers;
    return forward::Forwarder::ExactlyOnce{
        .producers = config.upstream->producers,
        .make = [settings, gateway_id = config.gateway_id](
                    std::size_t number,
                    upstream::Waker& waker,
                    std::string& problem
                ) {
            auto numbered = settings;
            numbered.transactional_id = transactional_id(gateway_id, number);
            return upstream::make_rdkafka_transactional(numbered, waker, problem);
        }};
}

admin::MqttStatus mqtt_status(
    const ingest::IntakeStats& intake,
    const listener::ListenerStats& listener,
    const access::LoginStats& logins
) {
    admin::MqttStatus status;
    status.connections = listener.connections.value();
    status.sessions = listener.sessions.value();
    status.subscriptions = listener.subscriptions.value();
    status.retained_messages = listener.retained_messages.value();
    status.publish_memory_bytes = listener.publish_memory_bytes.value();
    status.received = received_counts(intake);
    status.accepted = intake.accepted.value();
    status.acked = listener.acks.value();
    status.rejected = rejected_counts(intake);
    status.events = {
        {"connections_accepted", listener.accepted_connections.value()},
        {"connections_refused", listener.refused_connections.value()},
        {"connections_refused_by_address", listener.refused_by_address.value()},
        {"sessions_refused", listener.refused_sessions.value()},
        {"connects", listener.connects.value()},
        {"connects_refused", listener.refused_connects.value()},
        {"takeovers", listener.takeovers.value()},
        {"protocol_errors", listener.protocol_errors.value()},
        {"keep_alive_timeouts", listener.keep_alive_timeouts.value()},
        {"connect_timeouts", listener.connect_timeouts.value()},
        {"write_timeouts", listener.write_timeouts.value()},
        {"rate_pauses", listener.rate_pauses.value()},
        {"short_windows", listener.short_windows.value()},
        {"wills_dropped", listener.dropped_wills.value()},
        {"unreleased_floods", listener.unreleased_floods.value()},
        {"subscriptions_refused", listener.refused_subscriptions.value()},
        {"deliveries", listener.deliveries.value()},
        {"deliveries_dropped", listener.dropped_deliveries.value()},
        {"deliveries_expired", listener.expired_deliveries.value()},
        {"deliveries_too_large", listener.oversized_deliveries.value()},
        {"deliveries_forbidden", listener.forbidden_deliveries.value()},
        {"retained_dropped", listener.dropped_retained.value()},
        {"tls_handshakes", listener.handshakes.value()},
        {"tls_handshakes_failed", listener.failed_handshakes.value()},
        {"passwords_verified", logins.verified.value()},
        {"logins_remembered", logins.remembered.value()},
        {"logins_refused", logins.refused.value()},
        {"logins_queue_full", logins.queue_full.value()},
        {"user_properties_dropped", intake.dropped_user_properties.value()},
    };
    return status;
}

void add_intake(admin::MqttStatus& status, const ingest::IntakeStats& intake) {
    add_counts(status.received, received_counts(intake));
    add_counts(status.rejected, rejected_counts(intake));
    status.accepted += intake.accepted.value();
}

admin::UpstreamStatus upstream_status(
    const UpstreamConfig& config,
    const forward::ForwardStatus& status,
    const forward::ForwardStats& stats
) {
    admin::UpstreamStatus shown;
    shown.bootstrap_servers = config.bootstrap_servers;
    shown.delivery = config.delivery == Delivery::exactly_once ? "exactly_once" : "at_least_once";
    shown.brokers_up = status.brokers_connected;
    shown.backlog_records = status.backlog_records;
    shown.drain_seconds = status.drain_seconds;
    shown.state = status.brokers_connected == 0 ? "down" : "up";
    if (status.brokers_connected > 0 && !status.degraded.empty()) shown.state = "degraded";
    if (shown.state != "up") {
        shown.reason = status.degraded.empty() ? status.last_error : status.degraded.front();
    }
    shown.events = {
        {"confirmed", stats.records.value()},
        {"confirmed_bytes", stats.bytes.value()},
        {"producers", stats.producers.value()},
        {"transactions", stats.transactions.value()},
        {"aborted_transactions", stats.aborted_transactions.value()},
        {"throttled", stats.throttled.value()},
    };
    for (std::size_t fault = 1; fault < stats.faults.size(); ++fault) {
        shown.events.push_back(
            {std::string{upstream::fault_name(static_cast<upstream::Fault>(fault))},
             stats.faults[fault].value()}
        );
    }
    for (const auto& topic : status.topics) {
        if (!topic.problem.empty()) {
            shown.blocked_topics.push_back(topic.topic + ": " + topic.problem);
        }
    }
    return shown;
}

ServiceFacts service_facts(const storage::Log& log, Instant now) {
    const auto& stats = log.stats();
    ServiceFacts facts{stats.records.value(), log.intake_reason(), std::nullopt};
    if (const auto since_ms = stats.commit_pending_since_ms.value(); since_ms != 0) {
        facts.disk_waits = now.time_since_epoch() - std::chrono::milliseconds{since_ms};
    }
    return facts;
}

}  // namespace milepost
