#include "gateway/tool/status_print.hpp"

#include "gateway/json_writer.hpp"
#include "gateway/tool/table.hpp"

#include <fmt/format.h>

namespace milepost::tool {

namespace {

std::string number(std::int64_t value) {
    return fmt::format("{}", value);
}

std::string partitions_table(const Status& status) {
    Table table{
        .right_aligned = {false, true, true, true, true, true, true},
        .rows = {{"TOPIC", "PARTITION", "START", "FORWARDED", "DURABLE", "LAG", "OLDEST UNSENT"}}};
    for (const auto& facts : status.partitions) {
        const bool forwards = facts.forwarded.has_value();
        const bool has_age = facts.lag() > 0 && status.is_running;
        table.rows.push_back(
            {facts.name.topic,
             number(facts.name.partition),
             number(facts.start.value()),
             forwards ? number(facts.forwarded->value()) : "-",
             number(facts.durable.value()),
             forwards ? number(facts.lag()) : "-",
             has_age ? seconds_text(facts.oldest_unsent_seconds) : "-"}
        );
    }
    return table.text();
}

std::string upstream_text(const UpstreamFacts& upstream) {
    std::string text =
        fmt::format("{} ({}, {})", upstream.state, upstream.bootstrap_servers, upstream.delivery);
    if (!upstream.reason.empty()) text += ": " + upstream.reason;
    return text;
}

void write_partition(JsonWriter& writer, const PartitionFacts& facts) {
    writer.begin_object();
    writer.key("topic").text(facts.name.topic);
    writer.key("partition").integer(std::int64_t{facts.name.partition});
    writer.key("start").integer(facts.start.value());
    writer.key("forwarded");
    if (facts.forwarded) {
        writer.integer(facts.forwarded->value());
    } else {
        writer.null();
    }
    writer.key("durable").integer(facts.durable.value());
    writer.key("lag").integer(facts.lag());
    writer.key("oldest_unsent_seconds").number(facts.oldest_unsent_seconds).end_object();
}

void write_counts(JsonWriter& writer, std::string_view name, const std::vector<Count>& counts) {
    writer.key(name).begin_object();
    for (const auto& [what, count] : counts)
        writer.key(what).integer(count);
    writer.end_object();
}

}  // namespace

std::string status_text(const Status& status) {
    std::string text;
    if (status.is_running) {
        text += fmt::format(
            "gateway      {}, version {}, up {}\n",
            status.gateway_id,
            status.version,
            seconds_text(static_cast<double>(status.uptime_s))
        );
        text += fmt::format("intake       {}", status.intake);
        if (!status.intake_reason.empty()) text += ": " + status.intake_reason;
        text += fmt::format("\nconnections  {}\n", status.connections);
        text += fmt::format(
            "upstream     {}\n",
            status.upstream ? upstream_text(*status.upstream) : "none is configured"
        );
        text += fmt::format(
            "journal      {} of {} in use\n",
            bytes_text(static_cast<double>(status.ring_used_bytes)),
            bytes_text(static_cast<double>(status.ring_bytes))
        );
        text += fmt::format(
            "log          {}, {} of at most {}\n",
            status.log_id,
            bytes_text(static_cast<double>(status.log_bytes)),
            bytes_text(static_cast<double>(status.log_limit_bytes))
        );
    } else {
        text += fmt::format("log          {}, of a gateway that is not running\n", status.log_id);
    }
    for (const auto& reason : status.degraded)
        text += fmt::format("degraded     {}\n", reason);
    for (const auto& gap : status.gaps) {
        text += fmt::format(
            "hole         {}-{} offsets {} to {}: {}\n",
            gap.partition.topic,
            gap.partition.partition,
            gap.first.value(),
            gap.end.value() - 1,
            gap.reason
        );
    }
    for (const auto& note : status.notes)
        text += fmt::format("note         {}\n", note);
    return text + "\n" + partitions_table(status);
}

std::string status_json(const Status& status) {
    JsonWriter writer;
    writer.begin_object();
    writer.key("running").boolean(status.is_running);
    writer.key("version").text(status.version);
    writer.key("gateway_id").text(status.gateway_id);
    writer.key("log_id").text(status.log_id);
    writer.key("uptime_s").integer(status.uptime_s);
    writer.key("intake").begin_object();
    writer.key("state").text(status.intake);
    writer.key("reason").text(status.intake_reason).end_object();
    writer.key("degraded").begin_array();
    for (const auto& reason : status.degraded)
        writer.text(reason);
    writer.end_array();
    writer.key("ring_bytes").integer(status.ring_bytes);
    writer.key("ring_used_bytes").integer(status.ring_used_bytes);
    writer.key("log_bytes").integer(status.log_bytes);
    writer.key("log_limit_bytes").integer(status.log_limit_bytes);
    writer.key("connections").integer(status.connections);
    writer.key("acked").integer(status.acked);
    write_counts(writer, "received", status.received);
    write_counts(writer, "rejected", status.rejected);
    writer.key("upstream");
    if (status.upstream) {
        writer.begin_object();
        writer.key("bootstrap_servers").text(status.upstream->bootstrap_servers);
        writer.key("delivery").text(status.upstream->delivery);
        writer.key("state").text(status.upstream->state);
        writer.key("reason").text(status.upstream->reason).end_object();
    } else {
        writer.null();
    }
    writer.key("partitions").begin_array();
    for (const auto& facts : status.partitions)
        write_partition(writer, facts);
    writer.end_array();
    writer.key("gaps").begin_array();
    for (const auto& gap : status.gaps) {
        writer.begin_object().key("topic").text(gap.partition.topic);
        writer.key("partition").integer(std::int64_t{gap.partition.partition});
        writer.key("first").integer(gap.first.value());
        writer.key("end").integer(gap.end.value());
        writer.key("reason").text(gap.reason).end_object();
    }
    writer.end_array().end_object();
    return writer.str() + "\n";
}

std::string account_text(const StatusAccount& account) {
    Table table{.right_aligned = {false, true, false}, .rows = {}};
    const auto line = [&](std::string name, std::int64_t value, std::string note = {}) {
        table.rows.push_back({std::move(name), number(value), std::move(note)});
    };
    line("received", account.received, "= accepted + rejected");
    line(
        "accepted",
        account.accepted,
        account.has_upstream ? "= forwarded + pending + expired + lost" : "= kept + expired + lost"
    );
    for (const auto& [reason, count] : account.rejected) {
        line(
            fmt::format("rejected({})", reason),
            static_cast<std::int64_t>(count),
            "since the gateway's start"
        );
    }
    if (account.has_upstream) {
        line("forwarded", account.forwarded);
        line("pending", account.pending);
    } else {
        line("kept", account.kept);
    }
    line("expired", account.expired);
    for (const auto& [reason, count] : account.lost)
        line(fmt::format("lost({})", reason), count);
    if (account.lost.empty()) line("lost", 0);
    return table.text();
}

std::string account_json(const StatusAccount& account) {
    JsonWriter writer;
    writer.begin_object();
    writer.key("received").integer(account.received);
    writer.key("accepted").integer(account.accepted);
    write_counts(writer, "rejected", account.rejected);
    if (account.has_upstream) {
        writer.key("forwarded").integer(account.forwarded);
        writer.key("pending").integer(account.pending);
    } else {
        writer.key("kept").integer(account.kept);
    }
    writer.key("expired").integer(account.expired);
    writer.key("lost").begin_object();
    for (const auto& [reason, count] : account.lost)
        writer.key(reason).integer(count);
    writer.end_object().end_object();
    return writer.str() + "\n";
}

}  // namespace milepost::tool
