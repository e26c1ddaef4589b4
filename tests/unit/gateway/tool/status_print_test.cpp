#include "gateway/tool/status_print.hpp"

#include "gateway/tool/table.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include <algorithm>

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

storage::Gap gap(std::int64_t first, std::int64_t end, std::string reason) {
    return {
        .partition = {"a.topic", 0},
        .first = storage::Offset{first},
        .end = storage::Offset{end},
        .reason = std::move(reason),
        .noticed = Timestamp{1}};
}

// Promise 6, for all and for each partition.
bool holds(const StatusAccount& account) {
    const auto adds_up = [](const AccountLine& line) {
        return line.accepted ==
               line.forwarded + line.pending + line.kept + line.expired_total() + line.lost_total();
    };
    return adds_up(account.all) &&
           std::ranges::all_of(account.partitions, [&](const PartitionAccount& one) {
               return adds_up(one.line);
           });
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

TEST_CASE("status: a line for each bridge, with what went wrong while it is not up", "[status]") {
    auto status = example();
    status.bridges = {
        {.name = "plant",
         .url = "mqtt://p:1883",
         .state = "up",
         .last_error = "the connection was lost",
         .counts = {{"received", 7}, {"duplicates", 1}}},
        {.name = "yard",
         .url = "mqtts://y:8883",
         .state = "down",
         .last_error = "Bad user name or password",
         .waits_for_log = true,
         .counts = {}}};
    const auto text = status_text(status);
    CHECK(
        text.find("\nbridge       plant up (mqtt://p:1883); received 7, duplicates 1\n"
                  "bridge       yard down (mqtts://y:8883): Bad user name or password; waits for "
                  "the log\n") != std::string::npos
    );
    const auto parsed = nlohmann::json::parse(status_json(status))["bridges"];
    REQUIRE(parsed.size() == 2);
    CHECK(parsed[0]["counts"]["received"] == 7);
    CHECK(parsed[0]["last_error"] == "the connection was lost");
    CHECK(parsed[1]["state"] == "down");
    CHECK(parsed[1]["waits_for_log"] == true);
}

TEST_CASE("status: a backlog, and how long it takes until it is gone", "[status]") {
    auto status = example();
    CHECK(status_text(status).find("backlog") == std::string::npos);
    status.upstream->backlog_records = 54'321;
    CHECK(
        status_text(status).find("\nbacklog      54321 records, it does not shrink\n") !=
        std::string::npos
    );
    CHECK(nlohmann::json::parse(status_json(status))["upstream"]["drain_seconds"].is_null());
    status.upstream->drain_seconds = 90;
    CHECK(
        status_text(status).find("\nbacklog      54321 records, gone in about 1 min 30 s\n") !=
        std::string::npos
    );
    CHECK(nlohmann::json::parse(status_json(status))["upstream"]["drain_seconds"] == 90);
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
    const AccountLine& all = account.all;
    CHECK(all.accepted == 1010);
    CHECK(all.forwarded == 1006);
    CHECK(all.pending == 1);
    CHECK(all.expired_total() == 0);
    CHECK(all.lost_total() == 3);
    CHECK(holds(account));
    CHECK(
        account_text(account) ==
        "received            1013  = accepted + rejected\n"
        "accepted            1010  = forwarded + pending + expired + lost\n"
        "rejected(no_route)     3  a crash forgets those since the last checkpoint\n"
        "forwarded           1006\n"
        "pending                1\n"
        "expired                0\n"
        "lost(rot)              3\n"
        "\n"
        "TOPIC    PARTITION  ACCEPTED  FORWARDED  PENDING  EXPIRED  LOST\n"
        "a.topic          0        10          6        1        0     3\n"
        "b               11      1000       1000        0        0     0\n"
    );
    const auto parsed = nlohmann::json::parse(account_json(account));
    CHECK(parsed["lost"]["rot"] == 3);
    CHECK(parsed["partitions"][0]["pending"] == 1);
}

TEST_CASE("account: without an upstream what is there is kept", "[status]") {
    auto status = example();
    for (auto& facts : status.partitions)
        facts.forwarded.reset();
    status.partitions[0].start = storage::Offset{6};
    // The first two were forwarded when there was an upstream.
    status.gaps = {gap(2, 5, "retention_age"), gap(5, 6, "limit")};
    const auto account = account_of(status);
    CHECK(account.all.kept == 1004);
    CHECK(account.all.forwarded == 2);
    CHECK(account.all.expired.at("retention_age") == 3);
    CHECK(account.all.expired.at("limit") == 1);
    CHECK(holds(account));
    const auto parsed = nlohmann::json::parse(account_json(account));
    CHECK(parsed["kept"] == 1004);
    CHECK(parsed["expired"]["limit"] == 1);
    CHECK_FALSE(parsed.contains("pending"));
}

TEST_CASE(
    "account: what came from a broker in front is received, too, and told apart",
    "[status]"
) {
    auto status = example();
    status.accepted_by_bridges = 10;
    const auto account = account_of(status);
    CHECK(account.bridged == 10);
    CHECK(account.from_mqtt() == 1000);
    CHECK(account.received == 1013);
    CHECK(holds(account));
    const auto text = account_text(account);
    CHECK(text.find("= accepted(origin mqtt) + accepted(origin bridge) + rejected") != text.npos);
    CHECK(text.find("accepted(origin bridge)    10") != text.npos);
    CHECK(nlohmann::json::parse(account_json(account))["accepted_by_origin"]["bridge"] == 10);
    status.accepted_by_bridges = 5'000;  // of a log that was here before
    CHECK(account_of(status).bridged == 0);
}

TEST_CASE("account: a refused record is lost, and its dead letter was not received", "[status]") {
    Status status;
    status.is_running = true;
    status.partitions = {
        {.name = {"t", 0},
         .start = storage::Offset{0},
         .forwarded = storage::Offset{10},
         .durable = storage::Offset{10}},
        {.name = {"t.dead-letter", 0},
         .start = storage::Offset{0},
         .forwarded = storage::Offset{0},
         .durable = storage::Offset{1}},
        {.name = {"local", 0},
         .start = storage::Offset{0},
         .forwarded = {},
         .durable = storage::Offset{4}}};
    status.gaps = {
        {.partition = {"t", 0},
         .first = storage::Offset{3},
         .end = storage::Offset{4},
         .reason = "poison",
         .noticed = {}}};
    const auto account = account_of(status);
    CHECK(account.received == 14);
    CHECK(account.dead_letters == 1);
    CHECK(account.all.lost.at("poison") == 1);
    CHECK(account.all.forwarded == 9);
    CHECK(account.all.pending == 1);
    CHECK(account.all.kept == 4);
    const auto text = account_text(account);
    CHECK(text.find("accepted(origin dead_letter)") != std::string::npos);
    CHECK(text.find("PENDING") != std::string::npos);
    CHECK(text.find("KEPT") != std::string::npos);
    CHECK(status_text(status).find("refused      t-0 offsets 3 to 3: poison") != std::string::npos);
    const auto parsed = nlohmann::json::parse(account_json(account));
    CHECK(parsed["accepted_by_origin"]["mqtt"] == 14);
    CHECK(parsed["accepted_by_origin"]["dead_letter"] == 1);
}

TEST_CASE("account: what was forwarded and removed since is forwarded", "[status]") {
    auto status = example();
    status.partitions[0].start = storage::Offset{5};
    const auto account = account_of(status);
    CHECK(account.partitions[0].line.forwarded == 7);
    CHECK(account.all.expired.empty());
    CHECK(holds(account));
}

TEST_CASE("account: what expired before there was an upstream is not forwarded", "[status]") {
    auto status = example();
    status.partitions[0].start = storage::Offset{5};
    status.gaps = {gap(0, 5, "retention_bytes")};
    const auto line = account_of(status).partitions[0].line;
    CHECK(line.forwarded == 2);
    CHECK(line.expired.at("retention_bytes") == 5);
}

TEST_CASE("account: an offset that two entries name is counted once", "[status]") {
    auto status = example();
    status.partitions[0].start = storage::Offset{7};
    status.gaps = {gap(3, 5, "rot"), gap(1, 7, "drop_oldest")};
    const auto account = account_of(status);
    CHECK(account.all.lost.at("rot") == 2);
    CHECK(account.all.lost.at("drop_oldest") == 4);
    CHECK(account.partitions[0].line.forwarded == 1);
    CHECK(holds(account));
}

TEST_CASE("account: a loss that was entered and not done yet is none", "[status]") {
    auto status = example();
    status.partitions[0].start = storage::Offset{2};
    status.gaps = {gap(0, 9, "drop_oldest")};
    const auto account = account_of(status);
    CHECK(account.all.lost.at("drop_oldest") == 2);
    CHECK(account.partitions[0].line.pending == 3);
    CHECK(holds(account));
}

TEST_CASE("status: what the disk is written a day, and how long it lasts", "[status]") {
    auto status = example();
    status.uptime_s = 86'400 / 2;
    status.wear = {
        .device = "mmcblk0",
        .device_bytes = 1024 * 1024,
        .journal_bytes = 300 * 1024,
        .segment_bytes = 84 * 1024,
        .endurance_bytes = 2 * 1024 * 1024 * std::uint64_t{3652}};
    const auto text = status_text(status);
    CHECK(
        text.find(
            "written      2.0 MiB a day to the whole device mmcblk0, the log 768.0 KiB a day\n"
            "endurance    10.0 years at this rate, from new\n"
        ) != std::string::npos
    );
    CHECK(nlohmann::json::parse(status_json(status))["wear"]["endurance_days"] == 3652);
    status.wear.device.clear();
    CHECK(status_text(status).find("written      the log 768.0 KiB a day\n") != std::string::npos);
}

TEST_CASE("status: what expired as configured is no hole", "[status]") {
    auto status = example();
    status.gaps = {gap(0, 5, "retention_age"), gap(5, 6, "drop_oldest")};
    const auto text = status_text(status);
    CHECK(text.find("expired      a.topic-0 offsets 0 to 4: retention_age\n") != std::string::npos);
    CHECK(text.find("hole         a.topic-0 offsets 5 to 5: drop_oldest\n") != std::string::npos);
}

TEST_CASE("table: amounts for people", "[status]") {
    CHECK(bytes_text(0) == "0 B");
    CHECK(bytes_text(1536) == "1.5 KiB");
    CHECK(bytes_text(1e15) == "909.5 TiB");
    CHECK(seconds_text(0.84) == "0.8 s");
    CHECK(seconds_text(75) == "1 min 15 s");
    CHECK(seconds_text(90'000) == "1 d 01 h");
}
