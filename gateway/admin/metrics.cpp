#include "gateway/admin/metrics.hpp"

#include "storage/log/dead_letters.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <span>

namespace milepost::admin {

namespace {

// 64 us to 67 s: what a disk or a queue in front of one takes.
constexpr HistogramRange duration_range{.first = 6, .last = 26, .unit = 1e-6};
constexpr HistogramRange count_range{.first = 0, .last = 16, .unit = 1};

void head(std::string& to, std::string_view name, std::string_view type, std::string_view help) {
    to += fmt::format("# HELP {0} {2}\n# TYPE {0} {1}\n", name, type, help);
}

template <class Number>
void single(
    std::string& to,
    std::string_view name,
    std::string_view type,
    std::string_view help,
    Number value
) {
    head(to, name, type, help);
    to += fmt::format("{} {}\n", name, value);
}

// A label's value: text format 0.0.4 escapes these three.
std::string label(std::string_view value) {
    std::string out;
    for (const char byte : value) {
        if (byte == '\\' || byte == '"') out += '\\';
        out += byte == '\n' ? std::string_view{"\\n"} : std::string_view{&byte, 1};
    }
    return out;
}

struct Family {
    std::string_view name;
    std::string_view type;
    std::string_view help;
};

void labelled(
    std::string& to,
    const Family& family,
    std::string_view label_name,
    std::span<const NamedCount> counts
) {
    head(to, family.name, family.type, family.help);
    for (const auto& [name, count] : counts) {
        to += fmt::format("{}{{{}=\"{}\"}} {}\n", family.name, label_name, label(name), count);
    }
}

void append_mqtt(std::string& to, const Sources& sources) {
    const auto mqtt = sources.mqtt();
    single(to, "milepost_mqtt_connections", "gauge", "MQTT connections.", mqtt.connections);
    single(
        to,
        "milepost_mqtt_sessions",
        "gauge",
        "MQTT sessions, connected or kept.",
        mqtt.sessions
    );
    single(
        to,
        "milepost_mqtt_subscriptions",
        "gauge",
        "Subscriptions of all sessions.",
        mqtt.subscriptions
    );
    single(
        to,
        "milepost_mqtt_retained_messages",
        "gauge",
        "Retained messages.",
        mqtt.retained_messages
    );
    single(
        to,
        "milepost_mqtt_publish_memory_bytes",
        "gauge",
        "What sessions remember of publishes, to know them again.",
        mqtt.publish_memory_bytes
    );
    labelled(
        to,
        {"milepost_mqtt_messages_received_total", "counter", "Publishes that came in."},
        "qos",
        mqtt.received
    );
    single(
        to,
        "milepost_mqtt_messages_accepted_total",
        "counter",
        "Publishes that were put into the log.",
        mqtt.accepted
    );
    single(to, "milepost_mqtt_acks_total", "counter", "PUBACKs that were sent.", mqtt.acked);
    labelled(
        to,
        {"milepost_mqtt_messages_rejected_total", "counter", "Publishes that were not taken."},
        "reason",
        mqtt.rejected
    );
    labelled(
        to,
        {"milepost_mqtt_events_total", "counter", "What happened to connections."},
        "event",
        mqtt.events
    );
    if (sources.ack_latency_micros != nullptr) {
        append_histogram(
            to,
            "milepost_mqtt_ack_latency_seconds",
            "From the read of a PUBLISH to its PUBACK.",
            *sources.ack_latency_micros,
            duration_range
        );
    }
}

void append_log(std::string& to, const Sources& sources, Instant now) {
    const auto& stats = sources.log.stats();
    const auto& config = sources.log.config();
    const auto count = [&](std::string_view name, std::string_view help, const Counter& counter) {
        single(to, name, "counter", help, counter.value());
    };
    count("milepost_log_groups_total", "Groups made durable.", stats.groups);
    count("milepost_log_records_total", "Records appended.", stats.records);
    count(
        "milepost_log_append_bytes_total",
        "Keys, values and headers appended.",
        stats.record_bytes
    );
    count("milepost_log_journal_bytes_total", "Bytes of journal frames.", stats.journal_bytes);
    count("milepost_log_segment_bytes_total", "Bytes written to segments.", stats.segment_bytes);
    count("milepost_log_checkpoints_total", "Checkpoints.", stats.checkpoints);
    count(
        "milepost_log_ring_generations_total",
        "Rings made because the journal's sync had failed.",
        stats.ring_generations
    );
    append_histogram(
        to,
        "milepost_log_sync_duration_seconds",
        "Write and sync of one group.",
        stats.sync_micros,
        duration_range
    );
    append_histogram(
        to,
        "milepost_log_records_per_sync",
        "Records of one group.",
        stats.records_per_group,
        count_range
    );
    const auto gauge = [&](std::string_view name, std::string_view help, auto value) {
        single(to, name, "gauge", help, value);
    };
    gauge("milepost_log_ring_used_bytes", "Of the journal's ring.", stats.ring_used_bytes.value());
    gauge("milepost_log_ring_bytes", "The journal's ring.", config.ring_bytes);
    gauge("milepost_log_bytes", "Segments and ring on the disk.", stats.log_bytes.value());
    gauge("milepost_log_limit_bytes", "The most that the log takes.", config.limit_bytes);
    gauge(
        "milepost_log_commit_wait_seconds",
        "Since when a commit waits for the disk.",
        commit_wait_seconds(sources, now)
    );
    const auto intake = sources.intake();
    gauge(
        "milepost_log_intake_open",
        "1 while readings are taken in.",
        intake.state == storage::IntakeState::open ? 1 : 0
    );
    std::error_code failed;
    const auto space = std::filesystem::space(config.data_dir, failed);
    if (!failed) {
        gauge("milepost_disk_free_bytes", "Of the log's file system.", space.available);
    }
}

// By the way they came in.
std::vector<NamedCount> accepted_counts(
    std::uint64_t by_bridges,
    std::span<const PartitionStatus> statuses
) {
    std::uint64_t letters = 0;
    std::uint64_t others = 0;
    for (const auto& status : statuses) {
        const auto count = static_cast<std::uint64_t>(status.positions.durable.value());
        (storage::is_dead_letter_topic(status.name.topic) ? letters : others) += count;
    }
    const auto bridged = std::min(by_bridges, others);
    return {{"mqtt", others - bridged}, {"bridge", bridged}, {"dead_letter", letters}};
}

void append_partitions(std::string& to, const Sources& sources, Moment now) {
    const std::uint64_t by_bridges = accepted_by_bridges(sources);
    const auto statuses = partition_statuses(sources, now);
    labelled(
        to,
        {"milepost_log_accepted_total", "counter", "Durable records since the log was made."},
        "origin",
        accepted_counts(by_bridges, statuses)
    );
    const auto family = [&](std::string_view name, std::string_view help, auto value_of) {
        head(to, name, "gauge", help);
        for (const auto& status : statuses) {
            to += fmt::format(
                "{}{{topic=\"{}\",partition=\"{}\"}} {}\n",
                name,
                label(status.name.topic),
                status.name.partition,
                value_of(status)
            );
        }
    };
    using Status = PartitionStatus;
    family("milepost_log_start_offset", "First offset that is kept.", [](const Status& status) {
        return status.positions.start.value();
    });
    family("milepost_log_durable_offset", "Next offset to be durable.", [](const Status& status) {
        return status.positions.durable.value();
    });
    family("milepost_log_appended_offset", "Next offset to be given.", [](const Status& status) {
        return status.positions.appended.value();
    });
    if (!sources.upstream) return;
    family("milepost_forward_offset", "Next offset to be confirmed.", [](const Status& status) {
        return status.positions.forwarded.value();
    });
    family("milepost_forward_lag_records", "Durable, not confirmed.", [](const Status& status) {
        return status.lag;
    });
    family(
        "milepost_forward_oldest_unsent_seconds",
        "Age of the oldest record that is not confirmed.",
        [](const Status& status) { return status.oldest_unsent_seconds; }
    );
}

void append_upstream(std::string& to, const Sources& sources) {
    if (!sources.upstream) return;
    const auto upstream = sources.upstream();
    single(
        to,
        "milepost_kafka_brokers_up",
        "gauge",
        "Upstream brokers that are connected.",
        upstream.brokers_up
    );
    if (upstream.drain_seconds) {
        single(
            to,
            "milepost_forward_drain_seconds",
            "gauge",
            "Until the backlog is gone as it shrinks now; absent while it does not shrink.",
            *upstream.drain_seconds
        );
    }
    labelled(
        to,
        {"milepost_forward_events_total", "counter", "What the forwarder did."},
        "event",
        upstream.events
    );
}

void append_bridges(std::string& to, const Sources& sources) {
    if (!sources.bridges) return;
    const auto bridges = sources.bridges();
    constexpr std::string_view up = "milepost_bridge_up";
    head(to, up, "gauge", "Whether the broker of a [[bridge]] is connected and subscribed to.");
    for (const auto& bridge : bridges) {
        const int value = bridge.state == "up" ? 1 : 0;
        to += fmt::format("{}{{bridge=\"{}\"}} {}\n", up, label(bridge.name), value);
    }
    constexpr std::string_view events = "milepost_bridge_events_total";
    head(to, events, "counter", "What came from the broker of a [[bridge]], and its connections.");
    for (const auto& bridge : bridges) {
        for (const auto& [event, count] : bridge.counts) {
            to += fmt::format(
                "{}{{bridge=\"{}\",event=\"{}\"}} {}\n",
                events,
                label(bridge.name),
                event,
                count
            );
        }
    }
}

}  // namespace

void append_histogram(
    std::string& to,
    std::string_view name,
    std::string_view help,
    const Histogram& histogram,
    HistogramRange range
) {
    head(to, name, "histogram", help);
    // One pass over the buckets, so that they rise also while somebody records.
    std::uint64_t below = 0;
    for (std::size_t i = 0; i < Histogram::bucket_count; ++i) {
        below += histogram.bucket(i);
        if (i < range.first || i > range.last) continue;
        // Bucket i holds whole numbers < 2^i.
        const double bound = static_cast<double>(std::uint64_t{1} << i) * range.unit;
        to += fmt::format("{}_bucket{{le=\"{:.10g}\"}} {}\n", name, bound, below);
    }
    to += fmt::format("{}_bucket{{le=\"+Inf\"}} {}\n", name, below);
    to += fmt::format(
        "{0}_sum {1:.10g}\n{0}_count {2}\n",
        name,
        static_cast<double>(histogram.sum()) * range.unit,
        below
    );
}

std::string metrics_text(const Sources& sources, Moment now) {
    std::string to;
    head(to, "milepost_build_info", "gauge", "Which milepostd this is.");
    to += fmt::format("milepost_build_info{{version=\"{}\"}} 1\n", label(sources.version));
    single(
        to,
        "milepost_uptime_seconds",
        "gauge",
        "Since the start of the process.",
        std::chrono::duration_cast<std::chrono::seconds>(now.monotonic - sources.started).count()
    );
    append_mqtt(to, sources);
    append_log(to, sources, now.monotonic);
    append_partitions(to, sources, now);
    append_upstream(to, sources);
    append_bridges(to, sources);
    return to;
}

}  // namespace milepost::admin
