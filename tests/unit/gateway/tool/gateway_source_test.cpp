#include "gateway/admin/http_server.hpp"
#include "gateway/tool/chunk_records.hpp"
#include "gateway/tool/failure.hpp"
#include "gateway/tool/http_client.hpp"
#include "gateway/tool/log_source.hpp"
#include "tests/support/matchers.hpp"
#include "tests/unit/gateway/admin/served_log.hpp"

#include <catch2/catch.hpp>

using namespace milepost;
using namespace milepost::tool;

namespace {

// What the tool reads is what admin serves.
struct Gateway {
    test::ServedLog log;
    std::unique_ptr<admin::HttpServer> server;
    std::unique_ptr<LogSource> source;

    Gateway() {
        log.put("t.1", 0, {{"V1", "a"}, {"V1", "b"}});
        log.put("t.1", 0, {{"V1", "c"}});
        log.make_partition("t.1", 1);
        auto opened = admin::HttpServer::open(
            "127.0.0.1",
            0,
            admin::Sources{
                .log = log,
                .version = "1.2.3",
                .gateway_id = "mp-1",
                .mqtt =
                    [] {
                        admin::MqttStatus status;
                        status.rejected = {{"no_route", 5}};
                        return status;
                    },
                .intake = [] { return admin::IntakeStatus{}; },
                .upstream =
                    [] {
                        admin::UpstreamStatus upstream;
                        upstream.bootstrap_servers = "k:9092";
                        upstream.state = "up";
                        upstream.backlog_records = 70;
                        upstream.drain_seconds = 2.5;
                        return upstream;
                    },
                .gaps =
                    [] {
                        return std::vector<storage::Gap>{
                            {{"t.1", 0},
                             storage::Offset{1},
                             storage::Offset{2},
                             "rot",
                             Timestamp{7}}};
                    },
                .degraded = {},
                .bridges =
                    [] {
                        admin::BridgeStatus bridge;
                        bridge.name = "plant";
                        bridge.url = "mqtt://p:1883";
                        bridge.state = "down";
                        bridge.last_error = "refused";
                        bridge.waits_for_log = true;
                        bridge.counts = {{"received", 4}};
                        return std::vector<admin::BridgeStatus>{bridge};
                    }}
        );
        server = std::move(*opened);
        server->start();
        source = open_gateway("http://127.0.0.1:" + std::to_string(server->port()) + "/");
    }
};

const storage::TopicPartition part{"t.1", 0};

}  // namespace

TEST_CASE("gateway source: the status page is understood", "[source]") {
    Gateway gateway;
    const auto status = gateway.source->status();
    CHECK(status.is_running);
    CHECK(status.gateway_id == "mp-1");
    CHECK(status.log_id == "0123456789abcdef");
    CHECK(status.intake == "open");
    REQUIRE(status.upstream);
    CHECK(status.upstream->bootstrap_servers == "k:9092");
    CHECK(status.upstream->delivery == "at_least_once");
    CHECK(status.upstream->backlog_records == 70);
    CHECK(status.upstream->drain_seconds == 2.5);
    REQUIRE(status.rejected.size() == 1);
    CHECK(status.rejected[0].count == 5);
    REQUIRE(status.partitions.size() == 2);
    CHECK(status.partitions[0].lag() == 3);
    CHECK(status.partitions[0].oldest_unsent_seconds > 0);
    REQUIRE(status.gaps.size() == 1);
    CHECK(status.gaps[0].reason == "rot");
    REQUIRE(status.bridges.size() == 1);
    const BridgeFacts& bridge = status.bridges[0];
    CHECK(bridge.name == "plant");
    CHECK(bridge.url == "mqtt://p:1883");
    CHECK(bridge.state == "down");
    CHECK(bridge.last_error == "refused");
    CHECK(bridge.waits_for_log);
    REQUIRE(bridge.counts.size() == 1);
    CHECK(bridge.counts[0].count == 4);
}

TEST_CASE("gateway source: batches are read from any offset to the end", "[source]") {
    Gateway gateway;
    std::string values;
    Buffer scratch;
    storage::Offset next{1};
    while (true) {
        const auto chunk = gateway.source->read(part, next, 1);
        for_each_record(chunk.batches, next, scratch, [&](const storage::StoredRecord& record) {
            values += as_text(*record.value);
            return true;
        });
        if (chunk.next == next) break;
        next = chunk.next;
    }
    CHECK(values == "bc");
    CHECK(next == storage::Offset{3});
    CHECK(gateway.source->read(part, storage::Offset{9}, 1).durable == storage::Offset{3});
    CHECK(gateway.source->find_timestamp(part, Timestamp{0}) == storage::Offset{0});
    CHECK(gateway.source->partitions().size() == 2);
}

TEST_CASE("gateway source: a broken connection is made again", "[source]") {
    Gateway gateway;
    CHECK(gateway.source->partitions().size() == 2);
    const auto port = gateway.server->port();
    gateway.server.reset();
    auto opened = admin::HttpServer::open(
        "127.0.0.1",
        port,
        admin::Sources{
            .log = gateway.log,
            .version = "",
            .gateway_id = "",
            .mqtt = {},
            .intake = {},
            .upstream = {},
            .gaps = {},
            .degraded = {}}
    );
    REQUIRE(opened.has_value());
    (*opened)->start();
    CHECK(gateway.source->partitions().size() == 2);
}

TEST_CASE("gateway source: what is not there is a failure with its exit code", "[source]") {
    Gateway gateway;
    const auto code_of = [](auto call) {
        try {
            call();
        } catch (const Failure& failure) {
            return static_cast<int>(failure.code());
        }
        return 0;
    };
    CHECK(code_of([&] { gateway.source->read({"none", 0}, storage::Offset{0}, 1); }) == 1);
    CHECK(code_of([] { static_cast<void>(open_gateway("ftp://x")); }) == 64);
    gateway.server.reset();
    CHECK(code_of([&] { gateway.source->status(); }) == 69);
}

TEST_CASE("http client: addresses and escapes", "[source]") {
    CHECK(parse_url("http://a:80/") == HostPort{"a", "80"});
    CHECK(parse_url("http://a") == HostPort{"a", "80"});
    CHECK(parse_url("http://[::1]:8080") == HostPort{"::1", "8080"});
    for (const auto* wrong :
         {"",
          "a:80",
          "https://a",
          "http://",
          "http://a:0",
          "http://a:99999",
          "http://a:x",
          "http://[::1",
          "http://a/path",
          "http://a:1/path",
          "http://u@a"}) {
        CAPTURE(wrong);
        CHECK_THROWS_AS(parse_url(wrong), Failure);
    }
    CHECK(percent_encode("a b/\xc3") == "a%20b%2F%C3");
}
