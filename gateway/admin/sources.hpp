#pragma once

#include "storage/base/stats.hpp"
#include "storage/base/time.hpp"
#include "storage/log/keeper.hpp"
#include "storage/log/log.hpp"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

// What the HTTP pages show. `app` fills it; admin knows neither listener nor forwarder.
namespace milepost::admin {

struct NamedCount {
    std::string name{};
    std::uint64_t count = 0;
};

// Since the start of the process.
struct MqttStatus {
    std::int64_t connections = 0;
    std::int64_t sessions = 0;
    std::int64_t subscriptions = 0;
    std::int64_t retained_messages = 0;
    std::int64_t publish_memory_bytes = 0;  // what sessions remember of publishes they had
    std::vector<NamedCount> received{};     // qos0, qos1, will
    std::uint64_t accepted = 0;             // put into the log
    std::uint64_t acked = 0;                // PUBACKs sent
    std::vector<NamedCount> rejected{};     // qos0_overload, no_route, too_large, …
    std::vector<NamedCount> events{};       // takeovers, protocol_errors, keep_alive_timeouts, …
};

// One [[bridge]].
struct BridgeStatus {
    std::string name{};
    std::string url{};
    std::string state{};                   // connecting, up, down, stopped
    std::int64_t connected_since_ms = -1;  // wall time; -1: it is not
    std::string last_error{};
    std::int64_t last_error_ms = -1;
    bool waits_for_log = false;
    std::vector<NamedCount> counts{};  // received, duplicates, redelivered, …
};

struct UpstreamStatus {
    std::string bootstrap_servers{};
    std::string delivery = "at_least_once";  // or exactly_once
    std::string state{};                     // connecting, up, down, …: one word
    std::string reason{};                    // the last thing that went wrong while it is not up
    std::uint32_t brokers_up = 0;
    std::int64_t backlog_records = 0;           // durable, not confirmed
    std::optional<double> drain_seconds{};      // until that is gone; nullopt: it does not shrink
    std::vector<NamedCount> events{};           // sent, confirmed, retried, new_producers, …
    std::vector<std::string> blocked_topics{};  // not forwarded, and why: "topic: reason"
};

// What the disk is written, and what that does to it.
struct WearStatus {
    std::string device{};               // the whole device; empty: not known
    std::uint64_t device_bytes = 0;     // written to it since the process started, by anybody
    std::uint64_t endurance_bytes = 0;  // what it may be written in its life; 0: not known
};

struct IntakeStatus {
    storage::IntakeState state = storage::IntakeState::open;
    std::string reason{};  // empty when open
};

// All functions are called on the admin's thread and must not block. What they and the references
// reach outlives the server.
struct Sources {
    storage::Log& log;
    std::string version{};
    std::string gateway_id{};
    Instant started{};
    const Histogram* ack_latency_micros = nullptr;  // may be null
    std::function<MqttStatus()> mqtt{};
    std::function<IntakeStatus()> intake{};
    std::function<UpstreamStatus()> upstream{};            // empty: no [upstream] is configured
    std::function<std::vector<storage::Gap>()> gaps{};     // may be empty
    std::function<std::vector<std::string>()> degraded{};  // may be empty; reasons besides upstream
    // Refused readings since the folder was made; empty: as `mqtt` has them.
    std::function<std::vector<NamedCount>()> rejected_ever{};
    // Of the log's durable records, those that came through a bridge; empty: none did.
    std::function<std::uint64_t()> accepted_by_bridges{};
    std::function<WearStatus()> wear{};                    // may be empty
    std::function<std::vector<BridgeStatus>()> bridges{};  // empty: none is configured
};

}  // namespace milepost::admin
