#include "gateway/tool/failure.hpp"
#include "gateway/tool/http_client.hpp"
#include "gateway/tool/log_source.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>

namespace milepost::tool {

namespace {

using nlohmann::json;

std::vector<Count> counts_of(const json& object) {
    std::vector<Count> counts;
    for (const auto& [name, count] : object.items()) {
        counts.push_back({name, count.get<std::uint64_t>()});
    }
    return counts;
}

PartitionFacts partition_of(const json& object) {
    PartitionFacts facts;
    facts.name.topic = object.at("topic").get<std::string>();
    facts.name.partition = object.at("partition").get<std::int32_t>();
    facts.start = storage::Offset{object.at("start").get<std::int64_t>()};
    facts.durable = storage::Offset{object.at("durable").get<std::int64_t>()};
    if (!object.at("forwarded").is_null()) {
        facts.forwarded = storage::Offset{object.at("forwarded").get<std::int64_t>()};
    }
    facts.oldest_unsent_seconds = object.value("oldest_unsent_seconds", 0.0);
    return facts;
}

std::vector<PartitionFacts> partitions_of(const json& array) {
    std::vector<PartitionFacts> all;
    for (const auto& object : array)
        all.push_back(partition_of(object));
    std::ranges::sort(all, {}, &PartitionFacts::name);
    return all;
}

storage::Gap gap_of(const json& object) {
    return {
        .partition =
            {object.at("topic").get<std::string>(), object.at("partition").get<std::int32_t>()},
        .first = storage::Offset{object.at("first").get<std::int64_t>()},
        .end = storage::Offset{object.at("end").get<std::int64_t>()},
        .reason = object.at("reason").get<std::string>(),
        .noticed = Timestamp{object.at("noticed_ms").get<std::int64_t>()},
        .first_time = Timestamp{object.at("first_time_ms").get<std::int64_t>()},
        .last_time = Timestamp{object.at("last_time_ms").get<std::int64_t>()},
        .records = object.at("records").get<std::int64_t>()};
}

WearFacts wear_of(const json& object) {
    return {
        .device = object.at("whole_device").get<std::string>(),
        .device_bytes = object.at("device_bytes").get<std::uint64_t>(),
        .journal_bytes = object.at("journal_bytes").get<std::uint64_t>(),
        .segment_bytes = object.at("segment_bytes").get<std::uint64_t>(),
        .endurance_bytes = object.at("endurance_bytes").get<std::uint64_t>()};
}

// A gateway of an earlier version does not say them.
std::vector<BridgeFacts> bridges_of(const json& page) {
    std::vector<BridgeFacts> all;
    for (const auto& object : page.value("bridges", json::array())) {
        all.push_back(
            {.name = object.at("name").get<std::string>(),
             .url = object.at("url").get<std::string>(),
             .state = object.at("state").get<std::string>(),
             .last_error = object.at("last_error").get<std::string>(),
             .waits_for_log = object.at("waits_for_log").get<bool>(),
             .counts = counts_of(object.at("counts"))}
        );
    }
    return all;
}

Status status_of(const json& page) {
    Status status;
    status.is_running = true;
    status.version = page.at("version").get<std::string>();
    status.gateway_id = page.at("gateway_id").get<std::string>();
    status.log_id = page.at("log_id").get<std::string>();
    status.uptime_s = page.at("uptime_s").get<std::int64_t>();
    status.intake = page.at("intake").at("state").get<std::string>();
    status.intake_reason = page.at("intake").at("reason").get<std::string>();
    status.degraded = page.at("degraded").get<std::vector<std::string>>();
    status.ring_bytes = page.at("ring").at("bytes").get<std::uint64_t>();
    status.ring_used_bytes = page.at("ring").at("used_bytes").get<std::int64_t>();
    status.log_bytes = page.at("log").at("bytes").get<std::int64_t>();
    status.log_limit_bytes = page.at("log").at("limit_bytes").get<std::uint64_t>();
    status.connections = page.at("connections").get<std::int64_t>();
    status.acked = page.at("totals").at("acked").get<std::uint64_t>();
    status.received = counts_of(page.at("totals").at("received"));
    status.rejected = counts_of(page.at("account").at("rejected"));
    // A gateway of an earlier version does not say it.
    status.accepted_by_bridges = page.at("account").value("accepted_by_bridges", std::uint64_t{0});
    status.wear = wear_of(page.at("wear"));
    if (const auto& upstream = page.at("upstream"); !upstream.is_null()) {
        status.upstream = UpstreamFacts{
            .bootstrap_servers = upstream.at("bootstrap_servers").get<std::string>(),
            .delivery = upstream.at("delivery").get<std::string>(),
            .state = upstream.at("state").get<std::string>(),
            .reason = upstream.at("reason").get<std::string>()};
        // A gateway of an earlier version does not say these.
        status.upstream->backlog_records = upstream.value("backlog_records", std::int64_t{0});
        if (const auto drain = upstream.find("drain_seconds");
            drain != upstream.end() && drain->is_number()) {
            status.upstream->drain_seconds = drain->get<double>();
        }
    }
    status.bridges = bridges_of(page);
    status.partitions = partitions_of(page.at("partitions"));
    for (const auto& object : page.at("gaps"))
        status.gaps.push_back(gap_of(object));
    return status;
}

class GatewaySource : public LogSource {
    [[noreturn]] static void refuse(const HttpReply& reply) {
        throw Failure{
            exit_run_time,
            fmt::format("the gateway answers {}: {}", reply.status, reply.body.substr(0, 200))};
    }

    template <class Take>
    auto parse(const std::string& target, Take take) {
        const auto reply = client_.get(target);
        if (reply.status != 200) refuse(reply);
        try {
            return take(json::parse(reply.body));
        } catch (const json::exception& wrong) {
            throw Failure{
                exit_run_time,
                fmt::format(
                    "the gateway's answer to {} is not understood: {}",
                    target,
                    wrong.what()
                )};
        }
    }

public:
    explicit GatewaySource(const std::string& url)
        : client_(url) {}

    Status status() override {
        return parse("/api/v1/status", [](const json& page) { return status_of(page); });
    }

    std::vector<PartitionFacts> partitions() override {
        return parse("/api/v1/offsets", [](const json& page) {
            return partitions_of(page.at("partitions"));
        });
    }

    Chunk read(
        const storage::TopicPartition& partition,
        storage::Offset from,
        std::size_t bytes_max
    ) override {
        return read(partition, from, fmt::format("&max_bytes={}", bytes_max));
    }

    storage::Offset find_timestamp(const storage::TopicPartition& partition, Timestamp timestamp)
        override {
        const auto target =
            fmt::format("/api/v1/offset?{}&timestamp={}", query_of(partition), timestamp.value());
        return parse(target, [](const json& page) {
            return storage::Offset{page.at("offset").get<std::int64_t>()};
        });
    }

    bool wait(
        const storage::TopicPartition& partition,
        storage::Offset end,
        std::chrono::milliseconds at_most
    ) override {
        // One byte: the batch that came is read again by read().
        read(partition, end, fmt::format("&max_bytes=1&wait_ms={}", at_most.count()));
        return true;
    }

private:
    static std::string query_of(const storage::TopicPartition& partition) {
        return fmt::format(
            "topic={}&partition={}",
            percent_encode(partition.topic),
            partition.partition
        );
    }

    Chunk read(
        const storage::TopicPartition& partition,
        storage::Offset from,
        const std::string& options
    ) {
        reply_ = client_.get(fmt::format(
            "/api/v1/batches?{}&offset={}{}",
            query_of(partition),
            from.value(),
            options
        ));
        // 416: outside; the caller sees it by `start` and `durable`.
        if (reply_.status != 200 && reply_.status != 416) refuse(reply_);
        Chunk chunk{
            .next = from,
            .start = storage::Offset{reply_.number("x-milepost-start")},
            .durable = storage::Offset{reply_.number("x-milepost-durable")},
            .batches = {}};
        if (reply_.status == 200) {
            chunk.next = storage::Offset{reply_.number("x-milepost-next")};
            chunk.batches = as_bytes(reply_.body);
        }
        return chunk;
    }

    HttpClient client_;
    HttpReply reply_;
};

}  // namespace

std::unique_ptr<LogSource> open_gateway(const std::string& url) {
    return std::make_unique<GatewaySource>(url);
}

}  // namespace milepost::tool
