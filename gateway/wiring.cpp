#include "gateway/wiring.hpp"

#include "gateway/upstream/errc.hpp"

#include <algorithm>
#include <chrono>

#include <sys/sysinfo.h>

namespace milepost {

namespace {

constexpr std::uint64_t small_memory_bytes = gib;

bool is_small_machine() {
    struct sysinfo info {};

    if (::sysinfo(&info) != 0) return false;
    return std::uint64_t{info.totalram} * info.mem_unit < small_memory_bytes;
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
    options.connections_max = mqtt.connections_max;
    options.session_expiry_s_max = static_cast<std::uint32_t>(mqtt.session_expiry_max.count());
    return options;
}

upstream::ProducerSettings producer_settings(const Config& config) {
    upstream::ProducerSettings settings;
    settings.client.bootstrap_servers = config.upstream->bootstrap_servers;
    settings.client.client_id = "milepost-" + config.gateway_id;
    settings.client.properties = config.upstream->librdkafka;
    settings.compression = config.upstream->compression;
    if (is_small_machine()) settings.queue_bytes = upstream::queue_bytes_small_memory;
    return settings;
}

admin::MqttStatus mqtt_status(
    const ingest::IntakeStats& intake,
    const listener::ListenerStats& listener
) {
    admin::MqttStatus status;
    status.connections = listener.connections.value();
    status.sessions = listener.sessions.value();
    status.received = {
        {"qos0", intake.received_qos0.value()},
        {"qos1", intake.received_qos1.value()},
        {"qos2", intake.received_qos2.value()},
        {"will", intake.received_wills.value()},
    };
    status.accepted = intake.accepted.value();
    status.acked = listener.acks.value();
    status.rejected = {
        {"qos0_overload", intake.rejected_qos0_overload.value()},
        {"no_route", intake.rejected_no_route.value()},
        {"too_large", intake.rejected_too_large.value()},
        {"duplicate", intake.rejected_duplicate.value()},
    };
    status.events = {
        {"connections_accepted", listener.accepted_connections.value()},
        {"connections_refused", listener.refused_connections.value()},
        {"connects", listener.connects.value()},
        {"takeovers", listener.takeovers.value()},
        {"protocol_errors", listener.protocol_errors.value()},
        {"keep_alive_timeouts", listener.keep_alive_timeouts.value()},
        {"connect_timeouts", listener.connect_timeouts.value()},
        {"wills_dropped", listener.dropped_wills.value()},
        {"unreleased_floods", listener.unreleased_floods.value()},
        {"user_properties_dropped", intake.dropped_user_properties.value()},
    };
    return status;
}

admin::UpstreamStatus upstream_status(
    const std::string& bootstrap_servers,
    const forward::ForwardStatus& status,
    const forward::ForwardStats& stats
) {
    admin::UpstreamStatus shown;
    shown.bootstrap_servers = bootstrap_servers;
    shown.brokers_up = status.brokers_connected;
    shown.state = status.brokers_connected == 0 ? "down" : "up";
    if (status.brokers_connected > 0 && !status.degraded.empty()) shown.state = "degraded";
    if (shown.state != "up") {
        shown.reason = status.degraded.empty() ? status.last_error : status.degraded.front();
    }
    shown.events = {
        {"confirmed", stats.records.value()},
        {"confirmed_bytes", stats.bytes.value()},
        {"producers", stats.producers.value()},
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
