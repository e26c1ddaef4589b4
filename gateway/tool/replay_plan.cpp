#include "gateway/tool/replay_plan.hpp"

#include "gateway/json_writer.hpp"
#include "gateway/tool/commands.hpp"
#include "gateway/tool/failure.hpp"
#include "gateway/tool/mqtt_sink.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <map>

namespace milepost::tool {

namespace {

// A file may name any number of them.
constexpr std::size_t partitions_max = 10'000;
constexpr std::size_t short_log_id = 8;

struct Counted {
    storage::Offset first;
    storage::Offset last;
    std::uint64_t records = 0;
};

struct Plan {
    std::uint64_t records = 0;
    std::uint64_t bytes = 0;
    Timestamp first;
    Timestamp last;
    double seconds = 0;
    std::map<storage::TopicPartition, Counted> partitions;
};

Plan count(const ReplayOptions& options, RecordStream& stream) {
    Plan plan;
    Pacer pacer{options.speed, Instant{}, options.gap_max};
    storage::TopicPartition name;
    while (const auto* record = stream.next()) {
        plan.first = plan.records == 0 ? record->timestamp
                                       : std::min(plan.first, record->timestamp);
        plan.last = plan.records == 0 ? record->timestamp : std::max(plan.last, record->timestamp);
        ++plan.records;
        plan.bytes += record->value ? record->value->size() : 0;
        const auto due = pacer.due(record->timestamp) - Instant{};
        plan.seconds = std::chrono::duration<double>(due).count();
        name.topic.assign(record->topic);
        name.partition = record->partition;
        auto found = plan.partitions.find(name);
        if (found == plan.partitions.end()) {
            if (plan.partitions.size() == partitions_max) {
                throw Failure{exit_run_time, fmt::format("over {} partitions", partitions_max)};
            }
            found = plan.partitions.emplace(name, Counted{record->offset, record->offset, 0}).first;
        }
        auto& counted = found->second;
        counted.first = std::min(counted.first, record->offset);
        counted.last = std::max(counted.last, record->offset);
        ++counted.records;
        stream.pass();
    }
    return plan;
}

std::string json_of(const Plan& plan) {
    JsonWriter writer;
    writer.begin_object();
    writer.key("records").integer(plan.records);
    writer.key("bytes").integer(plan.bytes);
    writer.key("first_time_ms").integer(plan.first.value());
    writer.key("last_time_ms").integer(plan.last.value());
    writer.key("seconds").number(plan.seconds);
    writer.key("partitions").begin_array();
    for (const auto& [name, counted] : plan.partitions) {
        writer.begin_object();
        writer.key("topic").text(name.topic);
        writer.key("partition").integer(std::int64_t{name.partition});
        writer.key("first").integer(counted.first.value());
        writer.key("end").integer(counted.last.value() + 1);
        writer.key("records").integer(counted.records);
        writer.end_object();
    }
    writer.end_array().end_object();
    return writer.str() + '\n';
}

std::string text_of(const Plan& plan, const ReplayOptions& options) {
    auto text = fmt::format("records {}\nbytes {}\n", plan.records, plan.bytes);
    if (plan.records > 0) {
        text += fmt::format("first {}\n", time_text(plan.first));
        text += fmt::format("last {}\n", time_text(plan.last));
    }
    if (!options.speed.is_max()) text += fmt::format("takes {}\n", span_text(plan.seconds));
    for (const auto& [name, counted] : plan.partitions) {
        fmt::format_to(
            std::back_inserter(text),
            "{}-{} offsets {}..{} records {}\n",
            name.topic,
            name.partition,
            counted.first.value(),
            counted.last.value() + 1,
            counted.records
        );
    }
    return text;
}

}  // namespace

std::string plan_of(
    const ReplayOptions& options,
    const std::string& source,
    const std::string& identity
) {
    const auto as = [&]() -> std::string {
        if (is_mqtt_url(options.to)) {
            return fmt::format(
                "MQTT {} with QoS {}",
                static_cast<int>(options.mqtt.level),
                static_cast<int>(options.mqtt.qos)
            );
        }
        if (options.format == FileFormat::archive) return "archive";
        return options.format == FileFormat::csv ? "csv" : "ndjson";
    };
    return fmt::format(
        "from {} as {}; {}; since {} until {}; {} timestamps; to {} as {}",
        source,
        identity,
        options.selection.fingerprint(),
        options.since,
        options.until,
        options.shifts_time ? "shifted" : "original",
        options.to,
        as()
    );
}

std::string identity_of(const ReplayOptions& options, const Status& status) {
    auto gateway_id = options.gateway_id.empty() ? status.gateway_id : options.gateway_id;
    if (gateway_id.empty()) gateway_id = "mp-" + status.log_id.substr(0, short_log_id);
    return gateway_id + '/' + status.log_id;
}

int print_plan(const ReplayOptions& options, RecordStream& stream, const ReplayState& state) {
    const auto plan = count(options, stream);
    if (state.count > 0) {
        fmt::print(stderr, "milepost: {} records are sent already\n", state.count);
    }
    print_out(options.json ? json_of(plan) : text_of(plan, options));
    return exit_good;
}

std::string span_text(double seconds) {
    constexpr double minute = 60;
    constexpr double hour = 60 * minute;
    constexpr double day = 24 * hour;
    if (seconds >= 2 * day) return fmt::format("{:.1f} d", seconds / day);
    if (seconds >= hour) {
        const auto minutes = static_cast<std::int64_t>(seconds / minute);
        return fmt::format("{} h {} min", minutes / 60, minutes % 60);
    }
    if (seconds >= 2 * minute) return fmt::format("{:.0f} min", seconds / minute);
    return fmt::format("{:.0f} s", seconds);
}

}  // namespace milepost::tool
