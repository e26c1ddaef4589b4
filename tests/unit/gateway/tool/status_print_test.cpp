#include "gateway/tool/status_print.hpp"

#include "gateway/tool/table.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

using namespace milepost;
using namespace milepost::tool;

namespace {

Status example() {
    Status status;
    status.is_running = true;
    status.version = "0.1.0";
    status.gateway_id = "mp-01234567";
    status.log_id = "0123456789abcdef";
    status.uptime_s = 3720;
    status.intake = "open";
    status.degraded = {"upstream: down"};
    status.ring_bytes = 64U * 1024 * 1024;
    status.ring_used_bytes = 1024 * 1024;
    status.log_bytes = 10 * 1024;
    status.log_limit_bytes = 1ULL << 33U;
    status.connections = 10;
    status.rejected = {{"no_route", 3}};
    status.upstream = UpstreamFacts{"k:9092", "at_least_once", "down", "no broker"};
    status.partitions = {
        {.name = {"a.topic", 0},
         .start = storage::Offset{0},
         .forwarded = storage::Offset{7},
         .durable = storage::Offset{10},
         .oldest_unsent_seconds = 2.5},
        {.name = {"b", 11},
         .start = storage::Offset{0},
         .forwarded = storage::Offset{1000},
         .durable = storage::Offset{1000}}};
    return status;
}

}  // namespace

TEST_CASE("status: a table that lines up", "[status]") {
    CHECK(
        status_text(example()) ==
        "gateway      mp-01234567, version 0.1.0, up 1 h 02 min\n"
        "intake       open\n"
        "connections  10\n"
        "upstream     down (k:9092, at_least_once): no broker\n"
        "journal      1.0 MiB of 64.0 MiB in use\n"
        "log          0123456789abcdef, 10.0 KiB of at most 8.0 GiB\n"
        "degraded     upstream: down\n"
        "\n"
        "TOPIC    PARTITION  START  FORWARDED  DURABLE  LAG  OLDEST UNSENT\n"
        "a.topic          0      0          7       10    3          2.5 s\n"
        "b               11      0       1000     1000    0              -\n"
    );
}

TEST_CASE("status: without an upstream forwarded is -", "[status]") {
    auto status = example();
    status.upstream.reset();
    for (auto& facts : status.partitions)
        facts.forwarded.reset();
    const auto text = status_text(status);
    CHECK(text.find("upstream     none is configured\n") != std::string::npos);
    CHECK(
        text.find("a.topic          0      0          -       10    -              -\n") !=
        std::string::npos
    );
    CHECK(nlohmann::json::parse(status_json(status))["partitions"][0]["forwarded"].is_null());
}

TEST_CASE("status: JSON holds the same", "[status]") {
    const auto parsed = nlohmann::json::parse(status_json(example()));
    CHECK(parsed["partitions"][0]["lag"] == 3);
    CHECK(parsed["upstream"]["state"] == "down");
    CHECK(parsed["degraded"][0] == "upstream: down");
}

TEST_CASE("account: every reading is somewhere", "[status]") {
    auto status = example();
    status.gaps = {
        {.partition = {"a.topic", 0},
         .first = storage::Offset{6},
         .end = storage::Offset{9},
         .reason = "rot",
         .noticed = Timestamp{1}}};
    const auto account = account_of(status);
    CHECK(account.received == 1013);
    CHECK(account.accepted == 1010);
    CHECK(account.forwarded == 1006);
    CHECK(account.pending == 1);
    CHECK(account.expired == 0);
    CHECK(account.lost_total() == 3);
    CHECK(
        account.accepted ==
        account.forwarded + account.pending + account.expired + account.lost_total()
    );
    CHECK(
        account_text(account) ==
        "received            1013  = accepted + rejected\n"
        "accepted            1010  = forwarded + pending + expired + lost\n"
        "rejected(no_route)     3  since the gateway's start\n"
        "forwarded           1006\n"
        "pending                1\n"
        "expired                0\n"
        "lost(rot)              3\n"
    );
}

TEST_CASE("account: without an upstream what is there is kept", "[status]") {
    auto status = example();
    for (auto& facts : status.partitions)
        facts.forwarded.reset();
    status.partitions[0].start = storage::Offset{4};
    const auto account = account_of(status);
    CHECK(account.kept == 1006);
    CHECK(account.expired == 4);
    const auto parsed = nlohmann::json::parse(account_json(account));
    CHECK(parsed["kept"] == 1006);
    CHECK_FALSE(parsed.contains("pending"));
}

TEST_CASE("table: amounts for people", "[status]") {
    CHECK(bytes_text(0) == "0 B");
    CHECK(bytes_text(1536) == "1.5 KiB");
    CHECK(bytes_text(1e15) == "909.5 TiB");
    CHECK(seconds_text(0.84) == "0.8 s");
    CHECK(seconds_text(75) == "1 min 15 s");
    CHECK(seconds_text(90'000) == "1 d 01 h");
}
