#include "gateway/admin/api.hpp"
#include "gateway/admin/metrics.hpp"
#include "gateway/admin/target.hpp"
#include "gateway/json_writer.hpp"
#include "tests/support/matchers.hpp"
#include "tests/unit/gateway/admin/served_log.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

using namespace milepost;
using namespace milepost::admin;
using nlohmann::json;

namespace {

struct Gateway {
    test::ServedLog log;
    Histogram latency;
    UpstreamStatus upstream{.bootstrap_servers = "k:1", .state = "up", .reason = ""};
    Sources sources{
        .log = log,
        .version = "1.2.3",
        .gateway_id = "mp-1",
        .started = Instant{},
        .ack_latency_micros = &latency,
        .mqtt =
            [] {
                MqttStatus status;
                status.connections = 3;
                status.received = {{"qos0", 1}, {"qos1", 20}};
                status.accepted = 21;
                status.acked = 20;
                status.rejected = {{"no_route", 2}};
                return status;
            },
        .intake =
            [this] {
                return IntakeStatus{log.intake_now, intake_reason};
            },
        .upstream = [this] { return upstream; },
        .gaps = {},
        .degraded = {}};
    std::string intake_reason;
    Moment now{Timestamp{61'000}, Instant{std::chrono::seconds{100}}};

    [[nodiscard]] Response get(std::string_view target) const {
        return answer(sources, parse_target(target).value(), now);
    }
};

bool has_line(const std::string& text, const std::string& line) {
    return ("\n" + text).find("\n" + line + "\n") != std::string::npos;
}

}  // namespace

TEST_CASE("target: path and query are decoded", "[admin]") {
    const auto target = parse_target("/a%20b?topic=x%2Fy&n=-5&flag&s=a+b");
    REQUIRE(target);
    CHECK(target->path == "/a b");
    CHECK(*target->find("topic") == "x/y");
    CHECK(target->number("n") == std::optional<std::int64_t>{-5});
    CHECK(target->find("flag")->empty());
    CHECK(*target->find("s") == "a b");
    CHECK_FALSE(target->number("topic"));
    for (const auto* wrong : {"", "a", "/%", "/%2", "/%zz", "http://x/"}) {
        CHECK_FALSE(parse_target(wrong));
    }
    std::string many = "/?";
    for (int i = 0; i < 40; ++i)
        many += "a" + std::to_string(i) + "&";
    CHECK_FALSE(parse_target(many));
}

TEST_CASE("json: whatever the bytes are, the text is valid", "[admin]") {
    JsonWriter writer;
    writer.begin_object().key("a\"\n").text("\xff\xc0\x80 \xc3\xa4 \x01 \xed\xa0\x80 \\");
    writer.key("b").begin_array().integer(std::int64_t{-1}).boolean(true).null().number(0.5);
    writer.end_array().end_object();
    const auto parsed = json::parse(writer.str());
    CHECK(parsed["b"] == json::parse("[-1,true,null,0.5]"));
    CHECK(parsed["a\"\n"].get<std::string>().find("\xc3\xa4") != std::string::npos);
}

TEST_CASE("readyz: ready while readings are taken in, whatever the upstream does", "[admin]") {
    Gateway gateway;
    gateway.upstream.state = "down";
    CHECK(gateway.get("/readyz").status == 200);
    gateway.log.intake_now = storage::IntakeState::sync_failed;
    gateway.intake_reason = "fdatasync: Input/output error";
    const auto response = gateway.get("/readyz");
    CHECK(response.status == 503);
    CHECK(
        json::parse(response.body)["reasons"] ==
        json::array({"sync_failed: fdatasync: Input/output error"})
    );
}

TEST_CASE("healthz: says since when a commit waits for the disk", "[admin]") {
    Gateway gateway;
    CHECK(json::parse(gateway.get("/healthz").body) == json::parse(R"({"alive":true})"));
    gateway.log.stats_now.commit_pending_since_ms.set(98'000);
    CHECK(json::parse(gateway.get("/healthz").body) == json::parse(R"({"alive":true})"));
    gateway.log.stats_now.commit_pending_since_ms.set(90'000);
    const auto response = gateway.get("/healthz");
    CHECK(response.status == 200);
    CHECK(json::parse(response.body)["disk_waits_since_ms"] == 51'000);
}

TEST_CASE("healthz: with the journal full, since when the checkpoint does", "[admin]") {
    Gateway gateway;
    gateway.log.stats_now.checkpoint_since_ms.set(90'000);
    CHECK(json::parse(gateway.get("/healthz").body) == json::parse(R"({"alive":true})"));
    gateway.log.intake_now = storage::IntakeState::ring_full;
    CHECK(json::parse(gateway.get("/healthz").body)["disk_waits_since_ms"] == 51'000);
}

TEST_CASE("status: positions, lag and the age of the oldest unsent record", "[admin]") {
    Gateway gateway;
    gateway.log.put("t", 1, {{"a", "1"}, {"b", "2"}}, Timestamp{1'000});
    gateway.log.put("t", 1, {{"c", "3"}}, Timestamp{31'000});
    gateway.log.make_partition("t", 0);
    gateway.log.set_forwarded(storage::PartitionId{0}, storage::Offset{2});
    const auto status = json::parse(gateway.get("/api/v1/status").body);
    CHECK(status["gateway_id"] == "mp-1");
    CHECK(status["log_id"] == "0123456789abcdef");
    CHECK(status["intake"]["state"] == "open");
    CHECK(status["totals"]["received"]["qos1"] == 20);
    CHECK(status["totals"]["rejected"]["no_route"] == 2);
    CHECK(status["upstream"]["state"] == "up");
    CHECK(status["degraded"].empty());
    REQUIRE(status["partitions"].size() == 2);
    CHECK(status["partitions"][0]["partition"] == 0);
    CHECK(status["partitions"][0]["lag"] == 0);
    CHECK(status["partitions"][1]["forwarded"] == 2);
    CHECK(status["partitions"][1]["durable"] == 3);
    CHECK(status["partitions"][1]["lag"] == 1);
    CHECK(status["partitions"][1]["oldest_unsent_seconds"] == 30.0);
}

TEST_CASE("records are counted by the way they came in, in status and metrics", "[admin]") {
    Gateway gateway;
    gateway.log.put("t", 1, {{"a", "1"}, {"b", "2"}, {"c", "3"}}, Timestamp{1'000});
    gateway.log.put("t.dead-letter", 0, {{"a", "1"}}, Timestamp{1'000});
    const auto lines = [&](int mqtt, int bridge) {
        const auto text = gateway.get("/metrics").body;
        const std::string name = "milepost_log_accepted_total{origin=";
        return has_line(text, name + "\"mqtt\"} " + std::to_string(mqtt)) &&
               has_line(text, name + "\"bridge\"} " + std::to_string(bridge)) &&
               has_line(text, name + "\"dead_letter\"} 1");
    };
    CHECK(lines(3, 0));
    gateway.sources.accepted_by_bridges = [] {
        return std::uint64_t{2};
    };
    CHECK(lines(1, 2));
    const auto status = json::parse(gateway.get("/api/v1/status").body);
    CHECK(status["account"]["accepted_by_bridges"] == 2);
}

TEST_CASE("status: the age is that of the record at the position, not of its batch", "[admin]") {
    Gateway gateway;
    gateway.log.put("t", 0, {{"a", "1"}, {"b", "2"}}, Timestamp{1'000});
    gateway.log.set_forwarded(storage::PartitionId{0}, storage::Offset{1});
    const auto status = json::parse(gateway.get("/api/v1/status").body);
    CHECK(status["partitions"][0]["oldest_unsent_seconds"] == 60.0);
}

TEST_CASE("status: without an upstream nothing is forwarded and nothing waits", "[admin]") {
    Gateway gateway;
    gateway.sources.upstream = {};
    gateway.log.put("t", 0, {{"a", "1"}});
    const auto status = json::parse(gateway.get("/api/v1/status").body);
    CHECK(status["upstream"].is_null());
    CHECK(status["partitions"][0]["forwarded"].is_null());
    CHECK(status["partitions"][0]["lag"] == 0);
    CHECK(gateway.get("/metrics").body.find("milepost_forward_") == std::string::npos);
}

TEST_CASE("status and metrics: how long it takes until the backlog is gone", "[admin]") {
    Gateway gateway;
    gateway.upstream.backlog_records = 1'000;
    const auto drain = [&] {
        return json::parse(gateway.get("/api/v1/status").body)["upstream"]["drain_seconds"];
    };
    CHECK(drain().is_null());
    CHECK(gateway.get("/metrics").body.find("milepost_forward_drain_seconds") == std::string::npos);
    gateway.upstream.drain_seconds = 90.5;
    CHECK(drain() == 90.5);
    CHECK(
        gateway.get("/metrics").body.find("\nmilepost_forward_drain_seconds 90.5\n") !=
        std::string::npos
    );
}

TEST_CASE("status: an upstream that is away is degraded", "[admin]") {
    Gateway gateway;
    gateway.upstream.state = "down";
    gateway.upstream.reason = "connection refused";
    const auto status = json::parse(gateway.get("/api/v1/status").body);
    CHECK(status["degraded"] == json::array({"upstream: down: connection refused"}));
    gateway.sources.degraded = [] {
        return std::vector<std::string>{"connection refused"};
    };
    const auto once = json::parse(gateway.get("/api/v1/status").body);
    CHECK(once["degraded"] == json::array({"connection refused"}));
}

TEST_CASE("topics: each with the number of its partitions", "[admin]") {
    Gateway gateway;
    gateway.log.make_partition("b", 1);
    gateway.log.make_partition("b", 0);
    gateway.log.make_partition("a", 0);
    CHECK(
        json::parse(gateway.get("/api/v1/topics").body)["topics"] ==
        json::parse(R"([{"topic":"a","partitions":1},{"topic":"b","partitions":2}])")
    );
}

TEST_CASE("batches: whole batches as the log has them, and where to go on", "[admin]") {
    Gateway gateway;
    gateway.log.put("t", 0, {{"a", "1"}, {"b", "2"}});
    gateway.log.put("t", 0, {{"c", "3"}});
    const auto response = gateway.get("/api/v1/batches?topic=t&partition=0&offset=1&max_bytes=1");
    CHECK(response.status == 200);
    CHECK(response.content_type == "application/octet-stream");
    using Header = std::pair<std::string, std::string>;
    CHECK(
        response.headers ==
        std::vector<Header>{
            {"X-Milepost-Next", "2"},
            {"X-Milepost-Start", "0"},
            {"X-Milepost-Durable", "3"}}
    );
    const auto header = storage::check_batch(as_bytes(response.body));
    REQUIRE(header);
    CHECK(header->total_bytes == response.body.size());
    CHECK(header->record_count == 2);
    CHECK(gateway.get("/api/v1/batches?topic=t&partition=0&offset=3").body.empty());
    CHECK(gateway.get("/api/v1/batches?topic=t&partition=0&offset=4").status == 416);
    CHECK(gateway.get("/api/v1/batches?topic=t&partition=0&offset=x").status == 400);
    CHECK(gateway.get("/api/v1/batches?topic=t&partition=1&offset=0").status == 404);
    CHECK(gateway.get("/api/v1/batches?topic=t&partition=99999999999&offset=0").status == 404);
}

TEST_CASE("batches: only the end of the log is waited at, and not for ever", "[admin]") {
    Gateway gateway;
    gateway.log.put("t", 0, {{"a", "1"}});
    const auto wait = [&](std::string_view target) {
        return wait_of(gateway.sources, parse_target(target).value());
    };
    CHECK_FALSE(wait("/api/v1/batches?topic=t&partition=0&offset=0&wait_ms=10"));
    CHECK_FALSE(wait("/api/v1/batches?topic=t&partition=0&offset=2&wait_ms=10"));
    CHECK_FALSE(wait("/api/v1/batches?topic=t&partition=0&offset=1"));
    CHECK_FALSE(wait("/api/v1/status?topic=t&partition=0&offset=1&wait_ms=10"));
    const auto at_end = wait("/api/v1/batches?topic=t&partition=0&offset=1&wait_ms=99999999");
    REQUIRE(at_end);
    CHECK(at_end->wait_max == batches_wait_max);
    CHECK_FALSE(is_over(gateway.sources, *at_end));
    gateway.log.put("t", 0, {{"a", "2"}});
    CHECK(is_over(gateway.sources, *at_end));
}

TEST_CASE("metrics: names, labels and histograms as Prometheus reads them", "[admin]") {
    Gateway gateway;
    gateway.log.put("t", 0, {{"a", "1"}}, Timestamp{31'000});
    gateway.latency.record(100);        // < 128 us
    gateway.latency.record(1'000'000);  // < 1.048576 s
    const auto text = gateway.get("/metrics").body;
    CHECK(has_line(text, "milepost_build_info{version=\"1.2.3\"} 1"));
    CHECK(has_line(text, "milepost_mqtt_connections 3"));
    CHECK(has_line(text, "milepost_mqtt_messages_received_total{qos=\"qos1\"} 20"));
    CHECK(has_line(text, "# TYPE milepost_mqtt_ack_latency_seconds histogram"));
    CHECK(has_line(text, "milepost_mqtt_ack_latency_seconds_bucket{le=\"6.4e-05\"} 0"));
    CHECK(has_line(text, "milepost_mqtt_ack_latency_seconds_bucket{le=\"0.000128\"} 1"));
    CHECK(has_line(text, "milepost_mqtt_ack_latency_seconds_bucket{le=\"1.048576\"} 2"));
    CHECK(has_line(text, "milepost_mqtt_ack_latency_seconds_bucket{le=\"+Inf\"} 2"));
    CHECK(has_line(text, "milepost_mqtt_ack_latency_seconds_sum 1.0001"));
    CHECK(has_line(text, "milepost_mqtt_ack_latency_seconds_count 2"));
    CHECK(has_line(text, "milepost_log_durable_offset{topic=\"t\",partition=\"0\"} 1"));
    CHECK(has_line(text, "milepost_forward_lag_records{topic=\"t\",partition=\"0\"} 1"));
    CHECK(has_line(text, "milepost_forward_oldest_unsent_seconds{topic=\"t\",partition=\"0\"} 30"));
    CHECK(has_line(text, "milepost_log_intake_open 1"));
    CHECK(has_line(text, "milepost_log_ring_generations_total 0"));
}

TEST_CASE("pages: an unknown one is 404 with JSON", "[admin]") {
    const Gateway gateway;
    const auto response = gateway.get("/api/v1/nothing");
    CHECK(response.status == 404);
    CHECK(json::parse(response.body)["error"] == "no such page");
}
