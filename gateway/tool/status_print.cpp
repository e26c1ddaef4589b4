#include "gateway/tool/status_print.hpp"

#include "gateway/json_writer.hpp"
#include "gateway/tool/table.hpp"
#include "storage/log/dead_letters.hpp"

#include <fmt/format.h>

#include <map>
#include <optional>
#include <string_view>
#include <utility>

namespace milepost::tool {

namespace {

std::string number(std::int64_t value) {
    return fmt::format("{}", value);
}

constexpr double day_s = 86'400;
constexpr std::int64_t wear_uptime_s_min = 60;

// How long a new device would last at the rate since the gateway's start.
std::optional<double> endurance_days(const Status& status) {
    const WearFacts& wear = status.wear;
    if (wear.endurance_bytes == 0 || wear.device_bytes == 0 ||
        status.uptime_s < wear_uptime_s_min) {
        return std::nullopt;
    }
    const double a_day = static_cast<double>(wear.device_bytes) /
                         static_cast<double>(status.uptime_s) * day_s;
    return static_cast<double>(wear.endurance_bytes) / a_day;
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

std::string account_table(const StatusAccount& account) {
    Table table{.right_aligned = {false, true, true, true, true, true, true, true}, .rows = {}};
    // Without an upstream nothing is pending, and where all is forwarded nothing is kept.
    const auto row = [&](std::vector<std::string> cells, std::string pending, std::string kept) {
        if (account.has_upstream) cells.push_back(std::move(pending));
        if (account.keeps_some || !account.has_upstream) cells.push_back(std::move(kept));
        return cells;
    };
    const auto add = [&](std::vector<std::string> cells, std::string expired, std::string lost) {
        cells.push_back(std::move(expired));
        cells.push_back(std::move(lost));
        table.rows.push_back(std::move(cells));
    };
    add(row({"TOPIC", "PARTITION", "ACCEPTED", "FORWARDED"}, "PENDING", "KEPT"), "EXPIRED", "LOST");
    for (const auto& [name, line] : account.partitions) {
        add(row({name.topic, number(name.partition), number(line.accepted), number(line.forwarded)},
                number(line.pending),
                number(line.kept)),
            number(line.expired_total()),
            number(line.lost_total()));
    }
    return table.text();
}

void write_reasons(
    JsonWriter& writer,
    std::string_view name,
    const std::map<std::string, std::int64_t>& counts
) {
    writer.key(name).begin_object();
    for (const auto& [reason, count] : counts)
        writer.key(reason).integer(count);
    writer.end_object();
}

void write_line(JsonWriter& writer, const AccountLine& line, const StatusAccount& account) {
    writer.key("accepted").integer(line.accepted);
    writer.key("forwarded").integer(line.forwarded);
    if (account.has_upstream) writer.key("pending").integer(line.pending);
    if (account.keeps_some || !account.has_upstream) writer.key("kept").integer(line.kept);
    write_reasons(writer, "expired", line.expired);
    write_reasons(writer, "lost", line.lost);
}

std::string day_text(std::uint64_t bytes, std::int64_t uptime_s) {
    return bytes_text(static_cast<double>(bytes) / static_cast<double>(uptime_s) * day_s);
}

// What was written, made a day of; not before there is something to go by.
std::string wear_text(const Status& status) {
    const WearFacts& wear = status.wear;
    if (!status.is_running || status.uptime_s < wear_uptime_s_min) return {};
    const std::string log = fmt::format(
        "the log {} a day",
        day_text(wear.journal_bytes + wear.segment_bytes, status.uptime_s)
    );
    if (wear.device.empty() && wear.journal_bytes == 0) return {};
    if (wear.device.empty()) return fmt::format("written      {}\n", log);
    std::string text = fmt::format(
        "written      {} a day to the whole device {}, {}\n",
        day_text(wear.device_bytes, status.uptime_s),
        wear.device,
        log
    );
    if (const auto days = endurance_days(status)) {
        text += fmt::format("endurance    {:.1f} years at this rate, from new\n", *days / 365.25);
    }
    return text;
}

std::string gap_label(const storage::Gap& gap) {
    if (gap.reason == storage::poison_reason) return "refused      ";
    return is_expiry(gap.reason) ? "expired      " : "hole         ";
}

std::string gap_text(const storage::Gap& gap) {
    return fmt::format(
        "{}-{} offsets {} to {}: {}\n",
        gap.partition.topic,
        gap.partition.partition,
        gap.first.value(),
        gap.end.value() - 1,
        gap.reason
    );
}

void write_known(JsonWriter& writer, std::string_view key, std::optional<double> number) {
    number ? writer.key(key).number(*number) : writer.key(key).null();
}

void write_wear(JsonWriter& writer, const Status& status) {
    const WearFacts& wear = status.wear;
    writer.key("wear").begin_object();
    writer.key("whole_device").text(wear.device);
    writer.key("device_bytes").integer(wear.device_bytes);
    writer.key("journal_bytes").integer(wear.journal_bytes);
    writer.key("segment_bytes").integer(wear.segment_bytes);
    writer.key("endurance_bytes").integer(wear.endurance_bytes);
    write_known(writer, "endurance_days", endurance_days(status));
    writer.end_object();
}

std::string upstream_text(const UpstreamFacts& upstream) {
    std::string text =
        fmt::format("{} ({}, {})", upstream.state, upstream.bootstrap_servers, upstream.delivery);
    if (!upstream.reason.empty()) text += ": " + upstream.reason;
    return text;
}

std::string backlog_text(const UpstreamFacts& upstream) {
    if (upstream.backlog_records == 0) return {};
    return fmt::format(
        "backlog      {} records, {}\n",
        upstream.backlog_records,
        upstream.drain_seconds ? "gone in about " + seconds_text(*upstream.drain_seconds)
                               : "it does not shrink"
    );
}

// One line: what it is and, where it is not as it should be, why; then what it has counted.
std::string bridge_text(const BridgeFacts& bridge) {
    std::string text =
        fmt::format("bridge       {} {} ({})", bridge.name, bridge.state, bridge.url);
    if (bridge.state != "up" && !bridge.last_error.empty()) text += ": " + bridge.last_error;
    if (bridge.waits_for_log) text += "; waits for the log";
    std::string_view separator = "; ";
    for (const auto& [what, count] : bridge.counts) {
        text += fmt::format("{}{} {}", std::exchange(separator, ", "), what, count);
    }
    return text + "\n";
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

void write_bridges(JsonWriter& writer, const Status& status) {
    writer.key("bridges").begin_array();
    for (const auto& bridge : status.bridges) {
        writer.begin_object();
        writer.key("name").text(bridge.name);
        writer.key("url").text(bridge.url);
        writer.key("state").text(bridge.state);
        writer.key("waits_for_log").boolean(bridge.waits_for_log);
        writer.key("last_error").text(bridge.last_error);
        write_counts(writer, "counts", bridge.counts);
        writer.end_object();
    }
    writer.end_array();
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
        if (status.upstream) text += backlog_text(*status.upstream);
        for (const auto& bridge : status.bridges)
            text += bridge_text(bridge);
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
    text += wear_text(status);
    for (const auto& gap : status.gaps) {
        text += gap_label(gap) + gap_text(gap);
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
        writer.key("reason").text(status.upstream->reason);
        writer.key("backlog_records").integer(status.upstream->backlog_records);
        write_known(writer, "drain_seconds", status.upstream->drain_seconds);
        writer.end_object();
    } else {
        writer.null();
    }
    write_bridges(writer, status);
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
        writer.key("reason").text(gap.reason);
        writer.key("first_time_ms").integer(gap.first_time.value());
        writer.key("last_time_ms").integer(gap.last_time.value());
        writer.key("records").integer(gap.records).end_object();
    }
    writer.end_array();
    write_wear(writer, status);
    writer.end_object();
    return writer.str() + "\n";
}

std::string account_text(const StatusAccount& account) {
    Table table{.right_aligned = {false, true, false}, .rows = {}};
    const auto line = [&](std::string name, std::int64_t value, std::string note = {}) {
        table.rows.push_back({std::move(name), number(value), std::move(note)});
    };
    const auto lines = [&](std::string_view name, const std::map<std::string, std::int64_t>& all) {
        for (const auto& [reason, count] : all)
            line(fmt::format("{}({})", name, reason), count);
        if (all.empty()) line(std::string{name}, 0);
    };
    const AccountLine& all = account.all;
    const bool keeps = account.keeps_some || !account.has_upstream;
    const bool has_letters = account.dead_letters > 0;
    const bool has_bridged = account.bridged > 0;
    std::string sum{has_letters || has_bridged ? "= accepted(origin mqtt) + " : "= accepted + "};
    if (has_bridged) sum += "accepted(origin bridge) + ";
    line("received", account.received, sum + "rejected");
    line(
        "accepted",
        all.accepted,
        fmt::format(
            "= forwarded +{}{} expired + lost",
            account.has_upstream ? " pending +" : "",
            keeps ? " kept +" : ""
        )
    );
    if (has_letters || has_bridged) line("accepted(origin mqtt)", account.from_mqtt());
    if (has_bridged) line("accepted(origin bridge)", account.bridged);
    if (has_letters) {
        line("accepted(origin dead_letter)", account.dead_letters, "copies of lost(poison)");
    }
    for (const auto& [reason, count] : account.rejected) {
        line(
            fmt::format("rejected({})", reason),
            static_cast<std::int64_t>(count),
            "a crash forgets those since the last checkpoint"
        );
    }
    line("forwarded", all.forwarded);
    if (account.has_upstream) line("pending", all.pending);
    if (keeps) line("kept", all.kept);
    lines("expired", all.expired);
    lines("lost", all.lost);
    return table.text() + "\n" + account_table(account);
}

std::string account_json(const StatusAccount& account) {
    JsonWriter writer;
    writer.begin_object();
    writer.key("received").integer(account.received);
    write_counts(writer, "rejected", account.rejected);
    writer.key("accepted_by_origin").begin_object();
    writer.key("mqtt").integer(account.from_mqtt());
    writer.key("bridge").integer(account.bridged);
    writer.key("dead_letter").integer(account.dead_letters).end_object();
    write_line(writer, account.all, account);
    writer.key("partitions").begin_array();
    for (const auto& [name, line] : account.partitions) {
        writer.begin_object();
        writer.key("topic").text(name.topic);
        writer.key("partition").integer(std::int64_t{name.partition});
        write_line(writer, line, account);
        writer.end_object();
    }
    writer.end_array().end_object();
    return writer.str() + "\n";
}

}  // namespace milepost::tool
