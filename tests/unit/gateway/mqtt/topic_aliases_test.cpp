// Holds MQTT-3.2.2-17, -18, 3.3.2-7 to -9, -12.
#include "gateway/mqtt/topic_aliases.hpp"

#include "gateway/mqtt/session.hpp"
#include "tests/unit/gateway/mqtt/packets.hpp"

#include <catch2/catch.hpp>

#include <string>

namespace milepost::mqtt {
namespace {

using test::ScriptedDevice;

Buffer aliased(std::string_view topic, unsigned alias) {
    Buffer properties;
    append_number_property(properties, PropertyId::topic_alias, alias);
    Publish publish;
    publish.topic = topic;
    publish.payload = as_bytes("x");
    publish.properties = properties;
    Buffer bytes;
    encode_publish(bytes, v5, publish);
    return bytes;
}

TEST_CASE("topic aliases: an alias stands for the last topic it was given", "[mqtt]") {
    TopicAliases aliases{2, 100};
    std::string_view topic;
    CHECK(aliases.find(1, topic) == Errc::topic_alias_unknown);
    REQUIRE(aliases.set(2, "b") == Errc::none);
    CHECK(aliases.find(1, topic) == Errc::topic_alias_unknown);
    REQUIRE(aliases.set(1, "a") == Errc::none);
    REQUIRE(aliases.set(2, "c") == Errc::none);
    REQUIRE(aliases.find(2, topic) == Errc::none);
    CHECK(topic == "c");
    CHECK(aliases.set(3, "d") == Errc::topic_alias_invalid);
    CHECK(aliases.find(3, topic) == Errc::topic_alias_invalid);
    CHECK(aliases.find(0, topic) == Errc::topic_alias_invalid);
}

TEST_CASE("topic aliases: the topics of all together are limited", "[mqtt]") {
    TopicAliases aliases{3, 10};
    REQUIRE(aliases.set(1, "12345") == Errc::none);
    REQUIRE(aliases.set(2, "12345") == Errc::none);
    CHECK(aliases.set(3, "1") == Errc::topic_aliases_too_long);
    REQUIRE(aliases.set(1, "1") == Errc::none);
    CHECK(aliases.set(3, "1234") == Errc::none);
    CHECK(aliases.held_bytes() == 10);
}

TEST_CASE("topic aliases: a topic that was replaced takes no memory any more", "[mqtt]") {
    TopicAliases aliases{64, 100};
    for (std::uint16_t alias = 1; alias <= 64; ++alias) {
        REQUIRE(aliases.set(alias, std::string(30, 'x')) == Errc::none);
        CHECK(aliases.held_bytes() <= 100);
        REQUIRE(aliases.set(alias, "x") == Errc::none);
    }
    CHECK(aliases.held_bytes() == 64);
}

TEST_CASE("session: a publish with an alias alone has the topic it stands for", "[mqtt]") {
    ScriptedDevice device;
    connect(device, v5);
    device.sends(aliased("vehicles/V1/telemetry", 32) + aliased("", 32) + aliased("b", 32));
    device.sends(aliased("", 32));
    const std::string first = "publish vehicles/V1/telemetry x qos 0 id 0";
    const std::vector<std::string> expected{
        "connect pump-7",
        first,
        first,
        "publish b x qos 0 id 0",
        "publish b x qos 0 id 0"};
    CHECK(device.events() == expected);
}

TEST_CASE("session: aliases are the connection's, not the session's", "[mqtt]") {
    ScriptedDevice device;
    connect(device, v5);
    device.sends(aliased("a", 1));
    connected(v5)
        .device(aliased("", 1))
        .gateway(goodbye(v5, 0x82))
        .closes(Errc::topic_alias_unknown)
        .holds();
}

TEST_CASE("session: an alias above the maximum ends the connection", "[mqtt]") {
    for (const std::string_view topic : {"a", ""}) {
        connected(v5)
            .device(aliased(topic, 33))
            .gateway(goodbye(v5, 0x94))
            .closes(Errc::topic_alias_invalid)
            .holds();
    }
}

TEST_CASE("session: with a maximum of 0 the CONNACK does not offer aliases", "[mqtt]") {
    Limits limits;
    limits.topic_alias_max = 0;
    ScriptedDevice device{limits};
    device.sends(connect_packet(v5));
    device.is_accepted();
    CHECK(device.out().size() == connack_v5().size() - 3);
    device.sends(aliased("a", 1));
    CHECK(device.session().closed_because() == Errc::topic_alias_invalid);
}

}  // namespace
}  // namespace milepost::mqtt
