#include "gateway/wiring.hpp"

#include "gateway/config.hpp"
#include "gateway/upstream/waker.hpp"

#include <catch2/catch.hpp>

#include <functional>
#include <set>
#include <string>
#include <variant>

using namespace milepost;

namespace {

// From the file's text, as a gateway reads it. No two keys have the same value.
Config config_of(const std::string& upstream, const std::string& rest = {}) {
    auto loaded = parse_config(
        "data_dir = \"d\"\ngateway_id = \"gw-1\"\n[upstream]\nbootstrap_servers = \"a:1\"\n" +
            upstream + "\n" + rest,
        "m.toml"
    );
    for (const auto& error : loaded.errors)
        FAIL_CHECK(error.text());
    return loaded.config;
}

forward::ForwardSettings settings_of(const std::string& upstream) {
    return forward_settings(config_of(upstream));
}

// Why the producer of these settings cannot be made: what librdkafka was given is in it.
std::string refusal_of(const std::string& upstream) {
    const auto made = delivery(config_of("delivery = \"at_least_once\"\n" + upstream));
    upstream::Waker waker;
    std::string problem;
    const auto& make = std::get<forward::Forwarder::MakeProducer>(made);
    CHECK_FALSE(make(waker, problem));
    return problem;
}

}  // namespace

TEST_CASE("wiring: the rates that are set are those that the forwarder gets", "[wiring]") {
    const auto none = settings_of("");
    CHECK(none.rates.bytes_per_s == 0);
    CHECK(none.rates.records_per_s == 0);
    const auto both = settings_of("rate_bytes_per_s = \"64KiB\"\nrate_records_per_s = 500");
    CHECK(both.rates.bytes_per_s == 65'536);
    CHECK(both.rates.records_per_s == 500);
}

TEST_CASE("wiring: topics are made only where that is wanted", "[wiring]") {
    CHECK_FALSE(settings_of("").create_topics);
    CHECK_FALSE(settings_of("create_topics = false").create_topics);
    CHECK(settings_of("create_topics = true").create_topics);
}

TEST_CASE("wiring: where a missing position sends the forwarder", "[wiring]") {
    using forward::MissingPosition;
    CHECK(settings_of("").on_missing_position == MissingPosition::local);
    const auto after = [](const std::string& word) {
        return settings_of("on_missing_position = \"" + word + "\"").on_missing_position;
    };
    CHECK(after("local") == MissingPosition::local);
    CHECK(after("earliest") == MissingPosition::earliest);
    CHECK(after("fail") == MissingPosition::fail);
}

TEST_CASE("wiring: when the position goes first", "[wiring]") {
    using forward::PositionFirst;
    CHECK(settings_of("").position_first == PositionFirst::automatic);
    const auto when = [](const std::string& word) {
        return settings_of("position_first = \"" + word + "\"").position_first;
    };
    CHECK(when("auto") == PositionFirst::automatic);
    CHECK(when("always") == PositionFirst::always);
    CHECK(when("never") == PositionFirst::never);
}

TEST_CASE(
    "wiring: each topic has its priority, and only those that stay here are local",
    "[wiring]"
) {
    const auto config = config_of("", R"(
[[topic]]
name = "t.high"
priority = "high"
[[topic]]
name = "t.low"
priority = "low"
[[topic]]
name = "t.normal"
priority = "normal"
[[topic]]
name = "t.here"
forward = false
[[topic]]
name = "t.there"
forward = true
)");
    const auto priorities = forward_settings(config).priorities;
    using forward::Priority;
    CHECK(
        priorities == decltype(priorities
                      ){{"t.here", Priority::normal},
                        {"t.high", Priority::high},
                        {"t.low", Priority::low},
                        {"t.normal", Priority::normal},
                        {"t.there", Priority::normal}}
    );
    CHECK(config.log.local_topics == std::set<std::string, std::less<>>{"t.here"});
    CHECK_FALSE(config.log.forwards_topic("t.here"));
    CHECK(config.log.forwards_topic("t.there"));
    CHECK(config.log.forwards_topic("t.not.named"));
}

TEST_CASE("wiring: the way of delivery, and over how many producers", "[wiring]") {
    const auto by_default = delivery(config_of(""));
    REQUIRE(std::holds_alternative<forward::Forwarder::ExactlyOnce>(by_default));
    CHECK(std::get<forward::Forwarder::ExactlyOnce>(by_default).producers == 1);
    const auto two = delivery(config_of("delivery = \"exactly_once\"\nproducers = 2"));
    REQUIRE(std::holds_alternative<forward::Forwarder::ExactlyOnce>(two));
    CHECK(std::get<forward::Forwarder::ExactlyOnce>(two).producers == 2);
    CHECK(std::holds_alternative<forward::Forwarder::MakeProducer>(
        delivery(config_of("delivery = \"at_least_once\""))
    ));
}

TEST_CASE("wiring: compression and what is passed through reach librdkafka", "[wiring]") {
    auto config = config_of("delivery = \"at_least_once\"");
    config.upstream->compression = "no-such-codec";
    upstream::Waker waker;
    std::string problem;
    const auto made = delivery(config);
    CHECK_FALSE(std::get<forward::Forwarder::MakeProducer>(made)(waker, problem));
    CHECK(problem.find("no-such-codec") != std::string::npos);
    const auto passed = refusal_of("[upstream.librdkafka]\n\"no.such.property\" = \"x\"");
    CHECK(passed.find("no.such.property") != std::string::npos);
}

TEST_CASE(
    "wiring: the same gateway has the same seed, and each start its own instance",
    "[wiring]"
) {
    const auto one = settings_of("");
    const auto again = settings_of("");
    CHECK(one.gateway_id == "gw-1");
    CHECK(one.seed == again.seed);
    CHECK(one.instance_id != again.instance_id);
}

TEST_CASE("wiring: the first producer has the gateway's name", "[wiring]") {
    CHECK(transactional_id("gw", 0) == "milepost-gw");
}

TEST_CASE("wiring: no gateway's producer has the id of another's", "[wiring]") {
    std::set<std::string> ids;
    for (const auto* const gateway : {"gw", "gw-1", "gw-2", "gw-2-2"}) {
        for (std::size_t number = 0; number < 2; ++number)
            CHECK(ids.insert(transactional_id(gateway, number)).second);
    }
}
