#include "gateway/ingest/route.hpp"

#include <catch2/catch.hpp>

#include <string>

namespace milepost::ingest {

namespace {

Route compiled(const RouteSpec& spec) {
    auto route = Route::compile(spec);
    if (std::holds_alternative<std::vector<RouteProblem>>(route)) FAIL("not compiled");
    return std::get<Route>(std::move(route));
}

std::string refusal(const RouteSpec& spec) {
    auto route = Route::compile(spec);
    const auto* wrong = std::get_if<std::vector<RouteProblem>>(&route);
    return wrong == nullptr ? "" : std::string{wrong->front().key} + ": " + wrong->front().what;
}

std::string key_for(const RouteSpec& spec, std::string_view topic) {
    const Route route = compiled(spec);
    Captures captures;
    std::string scratch;
    if (!route.match(topic, captures)) return "no match";
    return std::string{route.key(captures, "client", scratch)};
}

bool matches(std::string_view filter, std::string_view topic) {
    Captures captures;
    return compiled({std::string{filter}, "t", "", 1}).match(topic, captures);
}

}  // namespace

TEST_CASE("route: filters match as MQTT's do", "[route]") {
    CHECK(matches("a/b", "a/b"));
    CHECK_FALSE(matches("a/b", "a/b/c"));
    CHECK_FALSE(matches("a/b", "a"));
    CHECK(matches("a/+", "a/"));
    CHECK(matches("a/#", "a"));
    CHECK(matches("a/#", "a/b/c"));
    CHECK(matches("#", "a/b"));
    CHECK(matches("+/b", "/b"));
    CHECK_FALSE(matches("a/{x}/c", "a/b/b/c"));
}

TEST_CASE("route: a leading wildcard does not match topics that begin with $", "[route]") {
    CHECK_FALSE(matches("#", "$SYS/x"));
    CHECK_FALSE(matches("+/x", "$SYS/x"));
    CHECK(matches("$SYS/#", "$SYS/x"));
}

TEST_CASE("route: the key is the vehicle id, else the client id", "[route]") {
    CHECK(
        key_for({"vehicles/{vehicle_id}/telemetry", "t", "", 4}, "vehicles/V1/telemetry") == "V1"
    );
    CHECK(key_for({"vehicles/+/telemetry", "t", "", 4}, "vehicles/V1/telemetry") == "client");
    CHECK(key_for({"#", "t", "", 4}, "x") == "client");
}

TEST_CASE("route: an empty capture falls back to the client id", "[route]") {
    CHECK(
        key_for({"vehicles/{vehicle_id}/telemetry", "t", "", 4}, "vehicles//telemetry") == "client"
    );
    CHECK(key_for({"{a}/{b}", "t", "{a}-{b}", 4}, "x/") == "client");
}

TEST_CASE("route: a key template takes captures by name, by number and text between", "[route]") {
    CHECK(key_for({"f/{fleet}/+/x", "t", "{fleet}:{2}!", 4}, "f/north/7/x") == "north:7!");
}

TEST_CASE("route: the topic can be rebuilt where the key is the only wildcard", "[route]") {
    const auto rebuilds = [](const RouteSpec& spec, std::string_view topic) {
        const Route route = compiled(spec);
        Captures captures;
        REQUIRE(route.match(topic, captures));
        return route.rebuilds_topic(captures);
    };
    CHECK(rebuilds({"vehicles/{vehicle_id}/telemetry", "t", "", 4}, "vehicles/V1/telemetry"));
    CHECK(rebuilds({"a/b", "t", "", 4}, "a/b"));
    CHECK_FALSE(rebuilds({"vehicles/{vehicle_id}/telemetry", "t", "", 4}, "vehicles//telemetry"));
    CHECK_FALSE(rebuilds({"vehicles/{vehicle_id}/event/#", "t", "", 4}, "vehicles/V1/event/door"));
    CHECK_FALSE(rebuilds({"a/{b}", "t", "x{b}", 4}, "a/c"));
    CHECK_FALSE(rebuilds({"a/+", "t", "", 4}, "a/c"));
}

TEST_CASE("route: a spec that makes no sense is refused with a sentence", "[route]") {
    struct Case {
        RouteSpec spec;
        std::string_view says;
    };

    const auto bad = GENERATE(
        Case{{"a", "no spaces", "", 4}, "topic: "},
        Case{{"a", "", "", 4}, "topic: "},
        Case{{"a", "..", "", 4}, "topic: "},
        Case{{"a", std::string(250, 'x'), "", 4}, "topic: "},
        Case{{"a", "t", "", 0}, "partitions"},
        Case{{"a", "t", "", 257}, "partitions"},
        Case{{"", "t", "", 4}, "filter: must not be empty"},
        Case{{"a/#/b", "t", "", 4}, "must be the last level"},
        Case{{"a/b#", "t", "", 4}, "must be a whole level"},
        Case{{"a/x{b}", "t", "", 4}, "must be a whole level"},
        Case{{"{a}/{a}", "t", "", 4}, "two captures are named"},
        Case{{"a/{b}", "t", "{c}", 4}, "has no capture"},
        Case{{"a/{b}", "t", "{2}", 4}, "has no capture"},
        Case{{"a/{b}", "t", "{b", 4}, "without its other half"},
        Case{{"a/{b}", "t", "b}", 4}, "without its other half"},
        Case{{"a/{b}", "t", "{0}", 4}, "has no capture"},
        Case{{"a/{1}", "t", "", 4}, "no name for a capture"},
        Case{{"a/{}", "t", "", 4}, "no name for a capture"},
        Case{{"a/{b c}", "t", "", 4}, "no name for a capture"},
        Case{{std::string(513, 'x'), "t", "", 4}, "longer than"}
    );
    CAPTURE(bad.spec.filter, bad.spec.topic, bad.spec.key);
    CHECK(refusal(bad.spec).find(bad.says) != std::string::npos);
}

TEST_CASE("route: the three shipped routes compile", "[route]") {
    for (const RouteSpec& spec : shipped_routes())
        CHECK(refusal(spec).empty());
}

}  // namespace milepost::ingest
