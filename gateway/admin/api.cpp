#include "gateway/admin/api.hpp"

#include "gateway/admin/metrics.hpp"
#include "gateway/admin/snapshot.hpp"
#include "gateway/json_writer.hpp"
#include "storage/format/record_batch.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>

namespace milepost::admin {

namespace {

Response json(JsonWriter& writer, unsigned status = 200) {
    return {.status = status, .body = writer.str() + "\n"};
}

void write_reasons(JsonWriter& writer, std::string_view name, const std::vector<std::string>& all) {
    writer.key(name).begin_array();
    for (const auto& reason : all)
        writer.text(reason);
    writer.end_array();
}

void write_counts(JsonWriter& writer, std::string_view name, const std::vector<NamedCount>& all) {
    writer.key(name).begin_object();
    for (const auto& [what, count] : all)
        writer.key(what).integer(count);
    writer.end_object();
}

// Alive, whatever the disk and the upstream do; says since when a commit waits.
Response healthz(const Sources& sources, const Target&, Moment now) {
    JsonWriter writer;
    writer.begin_object().key("alive").boolean(true);
    const auto waits = commit_wait_seconds(sources, now.monotonic);
    if (waits > hung_commit_seconds) {
        const auto since = now.wall - static_cast<std::int64_t>(waits * 1000);
        writer.key("disk_waits_seconds").number(waits);
        writer.key("disk_waits_since_ms").integer(since.value());
    }
    writer.end_object();
    return json(writer);
}

Response readyz(const Sources& sources, const Target&, Moment) {
    const auto reasons = unready_reasons(sources);
    JsonWriter writer;
    writer.begin_object().key("ready").boolean(reasons.empty());
    write_reasons(writer, "reasons", reasons);
    writer.end_object();
    return json(writer, reasons.empty() ? 200 : 503);
}

Response metrics(const Sources& sources, const Target&, Moment now) {
    return {
        .content_type = "text/plain; version=0.0.4; charset=utf-8",
        .body = metrics_text(sources, now)};
}

void write_positions(
    JsonWriter& writer,
    const storage::TopicPartition& name,
    const storage::Positions& positions,
    bool forwards
) {
    writer.key("topic").text(name.topic);
    writer.key("partition").integer(std::int64_t{name.partition});
    writer.key("start").integer(positions.start.value());
    writer.key("forwarded");
    if (forwards) {
        writer.integer(positions.forwarded.value());
    } else {
        writer.null();
    }
    writer.key("durable").integer(positions.durable.value());
    writer.key("appended").integer(positions.appended.value());
}

void write_partition(JsonWriter& writer, const PartitionStatus& status) {
    writer.begin_object();
    write_positions(writer, status.name, status.positions, status.forwards);
    writer.key("lag").integer(status.lag);
    writer.key("oldest_unsent_seconds").number(status.oldest_unsent_seconds);
    writer.end_object();
}

void write_log(JsonWriter& writer, const Sources& sources) {
    const auto& stats = sources.log.stats();
    const auto& config = sources.log.config();
    writer.key("ring").begin_object();
    writer.key("bytes").integer(config.ring_bytes);
    writer.key("used_bytes").integer(stats.ring_used_bytes.value()).end_object();
    writer.key("log").begin_object();
    writer.key("bytes").integer(stats.log_bytes.value());
    writer.key("limit_bytes").integer(config.limit_bytes);
    writer.key("groups").integer(stats.groups.value());
    writer.key("records").integer(stats.records.value());
    writer.key("checkpoints").integer(stats.checkpoints.value()).end_object();
}

void write_totals(JsonWriter& writer, const Sources& sources) {
    const auto mqtt = sources.mqtt();
    writer.key("connections").integer(mqtt.connections);
    writer.key("sessions").integer(mqtt.sessions);
    writer.key("subscriptions").integer(mqtt.subscriptions);
    writer.key("retained_messages").integer(mqtt.retained_messages);
    writer.key("publish_memory_bytes").integer(mqtt.publish_memory_bytes);
    writer.key("totals").begin_object();
    write_counts(writer, "received", mqtt.received);
    writer.key("accepted").integer(mqtt.accepted);
    writer.key("acked").integer(mqtt.acked);
    write_counts(writer, "rejected", mqtt.rejected);
    write_counts(writer, "events", mqtt.events);
    writer.end_object();
}

void write_upstream(JsonWriter& writer, const Sources& sources) {
    writer.key("upstream");
    if (!sources.upstream) {
        writer.null();
        return;
    }
    const auto upstream = sources.upstream();
    writer.begin_object();
    writer.key("bootstrap_servers").text(upstream.bootstrap_servers);
    writer.key("delivery").text(upstream.delivery);
    writer.key("state").text(upstream.state);
    writer.key("reason").text(upstream.reason);
    writer.key("brokers_up").integer(std::uint64_t{upstream.brokers_up});
    writer.key("backlog_records").integer(upstream.backlog_records);
    writer.key("drain_seconds");
    if (upstream.drain_seconds) {
        writer.number(*upstream.drain_seconds);
    } else {
        writer.null();
    }
    write_counts(writer, "events", upstream.events);
    write_reasons(writer, "blocked_topics", upstream.blocked_topics);
    writer.end_object();
}

void write_bridges(JsonWriter& writer, const Sources& sources) {
    writer.key("bridges").begin_array();
    const auto bridges = sources.bridges ? sources.bridges() : std::vector<BridgeStatus>{};
    for (const auto& bridge : bridges) {
        writer.begin_object();
        writer.key("name").text(bridge.name);
        writer.key("url").text(bridge.url);
        writer.key("state").text(bridge.state);
        writer.key("connected_since_ms").integer(bridge.connected_since_ms);
        writer.key("waits_for_log").boolean(bridge.waits_for_log);
        writer.key("last_error").text(bridge.last_error);
        writer.key("last_error_ms").integer(bridge.last_error_ms);
        write_counts(writer, "counts", bridge.counts);
        writer.end_object();
    }
    writer.end_array();
}

void write_gaps(JsonWriter& writer, const Sources& sources) {
    writer.key("gaps").begin_array();
    if (sources.gaps) {
        for (const auto& gap : sources.gaps()) {
            writer.begin_object();
            writer.key("topic").text(gap.partition.topic);
            writer.key("partition").integer(std::int64_t{gap.partition.partition});
            writer.key("first").integer(gap.first.value());
            writer.key("end").integer(gap.end.value());
            writer.key("reason").text(gap.reason);
            writer.key("noticed_ms").integer(gap.noticed.value());
            writer.key("first_time_ms").integer(gap.first_time.value());
            writer.key("last_time_ms").integer(gap.last_time.value());
            writer.key("records").integer(gap.records).end_object();
        }
    }
    writer.end_array();
}

// Since the process started; what a day and a life are is the reader's to work out.
void write_wear(JsonWriter& writer, const Sources& sources) {
    const WearStatus wear = sources.wear ? sources.wear() : WearStatus{};
    const auto& stats = sources.log.stats();
    writer.key("wear").begin_object();
    writer.key("whole_device").text(wear.device);
    writer.key("device_bytes").integer(wear.device_bytes);
    writer.key("journal_bytes").integer(stats.journal_bytes.value());
    writer.key("segment_bytes").integer(stats.segment_bytes.value());
    writer.key("endurance_bytes").integer(wear.endurance_bytes).end_object();
}

Response status(const Sources& sources, const Target&, Moment now) {
    JsonWriter writer;
    writer.begin_object();
    writer.key("version").text(sources.version);
    writer.key("gateway_id").text(sources.gateway_id);
    writer.key("log_id").text(sources.log.log_id());
    const auto uptime = std::chrono::duration_cast<std::chrono::seconds>(
        now.monotonic - sources.started
    );
    writer.key("uptime_s").integer(std::int64_t{uptime.count()});
    // Before the partitions are looked at: what comes meanwhile is then in their figures only.
    const std::uint64_t by_bridges = accepted_by_bridges(sources);
    const auto intake = sources.intake();
    writer.key("intake").begin_object();
    writer.key("state").text(intake_name(intake.state));
    writer.key("reason").text(intake.reason).end_object();
    write_reasons(writer, "degraded", degraded_reasons(sources, now.monotonic));
    writer.key("commit_waits_seconds").number(commit_wait_seconds(sources, now.monotonic));
    write_log(writer, sources);
    write_totals(writer, sources);
    write_upstream(writer, sources);
    write_bridges(writer, sources);
    writer.key("partitions").begin_array();
    for (const auto& partition : partition_statuses(sources, now)) {
        write_partition(writer, partition);
    }
    writer.end_array();
    write_gaps(writer, sources);
    writer.key("account").begin_object();
    const auto rejected = sources.rejected_ever ? sources.rejected_ever() : sources.mqtt().rejected;
    write_counts(writer, "rejected", rejected);
    writer.key("accepted_by_bridges").integer(by_bridges).end_object();
    write_wear(writer, sources);
    writer.end_object();
    return json(writer);
}

Response topics(const Sources& sources, const Target&, Moment) {
    std::vector<storage::TopicPartition> all;
    for (const auto id : sources.log.partitions())
        all.push_back(sources.log.name(id));
    std::ranges::sort(all);
    JsonWriter writer;
    writer.begin_object().key("topics").begin_array();
    for (std::size_t i = 0; i < all.size();) {
        const auto first = i;
        while (i < all.size() && all[i].topic == all[first].topic)
            ++i;
        writer.begin_object().key("topic").text(all[first].topic);
        writer.key("partitions").integer(i - first).end_object();
    }
    writer.end_array().end_object();
    return json(writer);
}

// Where every partition stands; reads no record, so that it can be asked often.
Response offsets(const Sources& sources, const Target&, Moment) {
    JsonWriter writer;
    writer.begin_object().key("partitions").begin_array();
    for (const auto id : sources.log.partitions()) {
        writer.begin_object();
        write_positions(
            writer,
            sources.log.name(id),
            sources.log.positions(id),
            forwards_topic(sources, sources.log.name(id).topic)
        );
        writer.end_object();
    }
    writer.end_array().end_object();
    return json(writer);
}

std::optional<storage::PartitionId> partition_of(const Sources& sources, const Target& target) {
    const auto* topic = target.find("topic");
    const auto number = target.number("partition");
    if (topic == nullptr || !number || *number < 0 || *number > 0x7FFF'FFFF) return std::nullopt;
    return sources.log.find({*topic, static_cast<std::int32_t>(*number)});
}

void add_positions(Response& response, const storage::Positions& positions) {
    response.headers.emplace_back("X-Milepost-Start", fmt::format("{}", positions.start.value()));
    response.headers.emplace_back(
        "X-Milepost-Durable",
        fmt::format("{}", positions.durable.value())
    );
}

// Whole record batches v2, contiguous, as the log has them. The first may begin before `offset`.
Response batches(const Sources& sources, const Target& target, Moment) {
    const auto partition = partition_of(sources, target);
    if (!partition) return error_response(404, "no such topic and partition");
    const auto offset = target.number("offset");
    if (!offset || *offset < 0) return error_response(400, "offset: want a number from 0");
    const auto asked = target.number("max_bytes").value_or(batches_bytes_default);
    const auto bytes_max = std::clamp<std::int64_t>(asked, 1, batches_bytes_max);

    Buffer buffer;
    const auto from = storage::Offset{*offset};
    const auto read =
        sources.log.read(*partition, from, static_cast<std::size_t>(bytes_max), buffer);
    const auto positions = sources.log.positions(*partition);
    if (!read) {
        const bool outside = from < positions.start || from > positions.durable;
        auto refused = error_response(outside ? 416 : 500, read.error().message());
        add_positions(refused, positions);
        return refused;
    }
    Response response{
        .content_type = "application/octet-stream",
        .body = std::string{as_text(read->batches)}};
    response.headers.emplace_back("X-Milepost-Next", fmt::format("{}", read->next.value()));
    add_positions(response, positions);
    return response;
}

Response offset(const Sources& sources, const Target& target, Moment) {
    const auto partition = partition_of(sources, target);
    if (!partition) return error_response(404, "no such topic and partition");
    const auto timestamp = target.number("timestamp");
    if (!timestamp) return error_response(400, "timestamp: want milliseconds since 1970");
    const auto found = sources.log.find_timestamp(*partition, Timestamp{*timestamp});
    if (!found) return error_response(500, found.error().message());
    JsonWriter writer;
    writer.begin_object().key("offset").integer(found->value()).end_object();
    return json(writer);
}

struct Page {
    std::string_view path;
    Response (*make)(const Sources&, const Target&, Moment);
};

constexpr std::string_view batches_path = "/api/v1/batches";
constexpr std::array pages{
    Page{"/healthz", healthz},
    Page{"/readyz", readyz},
    Page{"/metrics", metrics},
    Page{"/api/v1/status", status},
    Page{"/api/v1/topics", topics},
    Page{"/api/v1/offsets", offsets},
    Page{batches_path, batches},
    Page{"/api/v1/offset", offset},
};

}  // namespace

Response error_response(unsigned status, std::string_view what) {
    JsonWriter writer;
    writer.begin_object().key("error").text(what).end_object();
    return json(writer, status);
}

Response answer(const Sources& sources, const Target& target, Moment now) {
    for (const auto& page : pages) {
        if (page.path == target.path) return page.make(sources, target, now);
    }
    return error_response(404, "no such page");
}

std::optional<BatchWait> wait_of(const Sources& sources, const Target& target) {
    if (target.path != batches_path) return std::nullopt;
    const auto partition = partition_of(sources, target);
    const auto offset = target.number("offset");
    const auto wait_ms = target.number("wait_ms");
    if (!partition || !offset || !wait_ms || *wait_ms <= 0) return std::nullopt;
    const BatchWait wait{
        .partition = *partition,
        .from = storage::Offset{*offset},
        .wait_max = std::min(std::chrono::milliseconds{*wait_ms}, batches_wait_max)};
    return is_over(sources, wait) ? std::nullopt : std::optional{wait};
}

bool is_over(const Sources& sources, const BatchWait& wait) {
    // Any other place than the end is answered at once, with data or with an error.
    return sources.log.positions(wait.partition).durable != wait.from;
}

}  // namespace milepost::admin
