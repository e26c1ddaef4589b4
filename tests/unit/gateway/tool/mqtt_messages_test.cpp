#include "gateway/tool/mqtt_messages.hpp"

#include "gateway/mqtt/properties.hpp"
#include "gateway/tool/failure.hpp"

#include <catch2/catch.hpp>

#include <string>
#include <vector>

using namespace milepost;
using namespace milepost::tool;

namespace {

constexpr auto v5 = mqtt::ProtocolLevel::v5;

using Headers = std::vector<storage::HeaderView>;

ReplayRecord record_of(const Headers& headers, std::string_view key = "V1") {
    return {
        .topic = "vehicle.telemetry",
        .offset = storage::Offset{7},
        .key = as_bytes(key),
        .value = as_bytes("x"),
        .headers = headers};
}

// `id=value` and `name:value` of user properties.
std::string properties_of(const mqtt::Publish& publish) {
    REQUIRE(check_properties(publish.properties, mqtt::PropertyPlace::publish) == mqtt::Errc::none);
    std::string text;
    mqtt::PropertyReader reader{publish.properties};
    while (const auto property = reader.next()) {
        const bool is_user = property->id == mqtt::PropertyId::user_property;
        const auto number = std::to_string(property->number);
        text += is_user ? std::string{property->name} + ':'
                        : std::to_string(static_cast<int>(property->id)) + '=';
        text += property->value.empty() && !is_user ? number : std::string{property->value};
        text += ' ';
    }
    return text;
}

}  // namespace

TEST_CASE("MQTT messages: what ingest made of a publish is given back", "[replay]") {
    MqttMessages messages{v5, {}};
    std::string why;
    const Headers headers = {
        {"mqtt.topic", as_bytes("a/b")},
        {"mqtt.retain", as_bytes("1")},
        {"mqtt.will", as_bytes("1")},
        {"content-type", as_bytes("json")},
        {"mqtt.response_topic", as_bytes("r")},
        {"mqtt.correlation_data", as_bytes("\xff")},
        {"mqtt.expiry_s", as_bytes("60")},
        {"content-type", as_bytes("the sensor's own")},
        {"mp.id", as_bytes("g/l/t-0/7")}};
    const auto publish = messages.make(record_of(headers), why);
    REQUIRE(publish);
    CHECK(publish->topic == "a/b");
    CHECK(publish->retain);
    CHECK(as_text(publish->payload) == "x");
    CHECK(
        properties_of(*publish) ==
        "3=json 8=r 9=\xff 2=60 content-type:the sensor's own mp.id:g/l/t-0/7 "
    );
    CHECK(messages.headers_left_out() == 0);
}

TEST_CASE("MQTT messages: a topic that the route could rebuild is rebuilt", "[replay]") {
    MqttMessages messages{v5, {{"other", "fleet/{key}/x"}}};
    std::string why;
    CHECK(messages.make(record_of({}), why)->topic == "vehicles/V1/telemetry");
    auto record = record_of({});
    record.topic = "other";
    CHECK(messages.make(record, why)->topic == "fleet/V1/x");
    record.topic = "mine";
    CHECK_THROWS_AS(messages.make(record, why), Failure);
}

TEST_CASE("MQTT messages: what MQTT cannot carry is refused, or left out", "[replay]") {
    MqttMessages messages{v5, {}};
    std::string why;
    for (const std::string key : {"", "a/b", "+", "\xff"}) {
        CHECK_FALSE(messages.make(record_of({}, key), why));
        CHECK(why == "vehicle.telemetry-0 at offset 7: its topic is none of MQTT's");
    }
    CHECK_FALSE(messages.make(record_of({{"mqtt.topic", as_bytes("a/#")}}), why));
    const std::string long_text(65'536, 'x');
    const Headers headers = {
        {"binary", as_bytes("\xff")},
        {"long", as_bytes(long_text)},
        {"mqtt.expiry_s", as_bytes("soon")},
        {"mqtt.response_topic", as_bytes("#")}};
    const auto publish = messages.make(record_of(headers), why);
    REQUIRE(publish);
    CHECK(publish->properties.empty());
    CHECK(messages.headers_left_out() == 4);

    MqttMessages old{mqtt::ProtocolLevel::v3_1_1, {}};
    CHECK(old.make(record_of({{"a", {}}, {"mqtt.topic", as_bytes("t")}}), why)->topic == "t");
    CHECK(old.headers_left_out() == 1);
}

TEST_CASE("MQTT messages: a template has two halves and no wildcard", "[replay]") {
    CHECK(
        parse_topic_template("t=a/{key}/b") == std::pair<std::string, std::string>{"t", "a/{key}/b"}
    );
    for (const auto* text : {"", "t", "=a", "t=", "t=a/#", "t=+"})
        CHECK_FALSE(parse_topic_template(text));
}
