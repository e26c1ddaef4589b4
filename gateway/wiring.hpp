#pragma once

#include "gateway/admin/sources.hpp"
#include "gateway/config.hpp"
#include "gateway/forward/forward_status.hpp"
#include "gateway/forward/forwarder.hpp"
#include "gateway/ingest/intake.hpp"
#include "gateway/listener/listener.hpp"
#include "gateway/service_notify.hpp"
#include "gateway/upstream/client_settings.hpp"
#include "storage/log/keeper.hpp"
#include "storage/log/log.hpp"
#include "storage/log/log_config.hpp"

#include <cstddef>
#include <string>
#include <string_view>

// Plain translations from one room's structs to another's: rooms do not know each other, app does.
namespace milepost {

[[nodiscard]] listener::Options listener_options(
    const MqttConfig& mqtt,
    const storage::LogConfig& log
);
// `config` has an [upstream] and a gateway_id. Draws a seed and an instance id.
[[nodiscard]] forward::ForwardSettings forward_settings(const Config& config);
// Of the gateway's producer with that number, from 0; no other gateway's.
[[nodiscard]] std::string transactional_id(std::string_view gateway_id, std::size_t number);
[[nodiscard]] forward::Forwarder::Delivery delivery(const Config& config);

[[nodiscard]] admin::MqttStatus mqtt_status(
    const ingest::IntakeStats& intake,
    const listener::ListenerStats& listener,
    const access::LoginStats& logins
);
// What came in by the second door is added to what came in by the first.
void add_intake(admin::MqttStatus& status, const ingest::IntakeStats& intake);
[[nodiscard]] admin::UpstreamStatus upstream_status(
    const UpstreamConfig& config,
    const forward::ForwardStatus& status,
    const forward::ForwardStats& stats
);

// Thread: any.
[[nodiscard]] ServiceFacts service_facts(const storage::Log& log, Instant now);

}  // namespace milepost
