#include "gateway/broker/message.hpp"

#include "gateway/mqtt/encode.hpp"
#include "gateway/mqtt/properties.hpp"

#include <catch2/catch.hpp>

namespace milepost::broker {
namespace {

MessagePtr sample() {
    Buffer properties;
    using enum mqtt::PropertyId;
    mqtt::append_number_property(properties, payload_format_indicator, 1);
    mqtt::append_number_property(properties, message_expiry_interval, 60);
    mqtt::append_number_property(properties, topic_alias, 3);
    mqtt::append_text_property(properties, response_topic, "answers");
    mqtt::append_text_property(properties, correlation_data, "\1\2");
    mqtt::append_user_property(properties, "k", "v");
    mqtt::Publish publish;
    publish.topic = "a/b";
    publish.payload = as_bytes("payload");
    publish.properties = properties;
    publish.qos = mqtt::Qos::exactly_once;
    publish.retain = true;
    return make_message(publish, Timestamp{5'000});
}

TEST_CASE("message: properties go on but for alias and expiry", "[broker]") {
    const MessagePtr message = sample();
    using enum mqtt::PropertyId;
    CHECK(message->expiry_s == 60U);
    CHECK(mqtt::find_number(message->properties, payload_format_indicator) == 1U);
    CHECK_FALSE(mqtt::find_number(message->properties, topic_alias));
    CHECK_FALSE(mqtt::find_number(message->properties, message_expiry_interval));
    const auto properties = mqtt::message_properties(message->properties);
    CHECK(properties.response_topic == "answers");
    CHECK(properties.correlation_data == "\1\2");
    CHECK(properties.has_user_properties);
}

TEST_CASE("message: the rest of the expiry is what is sent", "[broker]") {
    const MessagePtr message = sample();
    CHECK(rest_of_expiry_s(*message, Timestamp{5'000}) == 60);
    CHECK(rest_of_expiry_s(*message, Timestamp{15'500}) == 50);
    CHECK(rest_of_expiry_s(*message, Timestamp{1}) == 60);  // the clock went back
    CHECK(rest_of_expiry_s(*message, Timestamp{500'000}) == 1);
    CHECK_FALSE(message->is_expired(Timestamp{64'999}));
    CHECK(message->is_expired(Timestamp{65'000}));
}

TEST_CASE("message: comes back from its bytes; torn or foreign ones are none", "[broker]") {
    const MessagePtr message = sample();
    const Buffer bytes = encode_message(*message);
    const MessagePtr again = decode_message(bytes);
    REQUIRE(again);
    CHECK((again->topic == "a/b" && again->retain && again->qos == mqtt::Qos::exactly_once));
    CHECK((again->received == Timestamp{5'000} && again->expiry_s == 60U));
    CHECK(same_bytes(again->properties, message->properties));
    CHECK(as_text(again->payload) == "payload");
    const std::size_t head = bytes.size() - again->payload.size();
    for (std::size_t cut = 0; cut < head; ++cut) {
        CHECK_FALSE(decode_message(Bytes{bytes}.first(cut)));
    }
    Buffer foreign = bytes;
    foreign[0] = std::byte{1};
    CHECK_FALSE(decode_message(foreign));
}

}  // namespace
}  // namespace milepost::broker
