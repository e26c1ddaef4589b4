// Holds MQTT-1.5.5-1, 1.5.7-1, 2.2.2-1, 3.3.2-13, -14, 3.3.4-6 and the tables of MQTT 5.0,
// section 2.2.2.2.
#include "gateway/mqtt/properties.hpp"

#include "gateway/mqtt/encode.hpp"
#include "tests/support/scripted_device.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <array>
#include <vector>

namespace milepost::mqtt {
namespace {

using test::raw;

constexpr std::array places = {
    PropertyPlace::connect,
    PropertyPlace::will,
    PropertyPlace::publish,
    PropertyPlace::ack,
    PropertyPlace::subscribe,
    PropertyPlace::unsubscribe,
    PropertyPlace::disconnect};

bool is_text(PropertyId id) {
    using enum PropertyId;
    return id == content_type || id == response_topic || id == correlation_data ||
           id == assigned_client_identifier || id == authentication_method ||
           id == authentication_data || id == response_information || id == server_reference ||
           id == reason_string;
}

Buffer property(PropertyId id) {
    Buffer bytes;
    if (id == PropertyId::user_property) {
        append_user_property(bytes, "name", "value");
    } else if (is_text(id)) {
        append_text_property(bytes, id, "text");
    } else {
        append_number_property(bytes, id, 1);
    }
    return bytes;
}

struct Allowed {
    PropertyId id;
    std::vector<PropertyPlace> places;
};

TEST_CASE("properties: each is allowed at its places, once, and nowhere else", "[mqtt]") {
    using enum PropertyId;
    using Place = PropertyPlace;
    const std::vector<Allowed> table = {
        {payload_format_indicator, {Place::publish, Place::will}},
        {message_expiry_interval, {Place::publish, Place::will}},
        {content_type, {Place::publish, Place::will}},
        {response_topic, {Place::publish, Place::will}},
        {correlation_data, {Place::publish, Place::will}},
        {subscription_identifier, {Place::subscribe}},
        {session_expiry_interval, {Place::connect, Place::disconnect}},
        {assigned_client_identifier, {}},
        {server_keep_alive, {}},
        {authentication_method, {Place::connect}},
        {authentication_data, {Place::connect}},
        {request_problem_information, {Place::connect}},
        {will_delay_interval, {Place::will}},
        {request_response_information, {Place::connect}},
        {response_information, {}},
        {server_reference, {}},
        {reason_string, {Place::ack, Place::disconnect}},
        {receive_maximum, {Place::connect}},
        {topic_alias_maximum, {Place::connect}},
        {topic_alias, {Place::publish}},
        {maximum_qos, {}},
        {retain_available, {}},
        {user_property, {places.begin(), places.end()}},
        {maximum_packet_size, {Place::connect}},
        {wildcard_subscription_available, {}},
        {subscription_identifier_available, {}},
        {shared_subscription_available, {}}};
    for (const Allowed& row : table) {
        const Buffer once = property(row.id);
        for (const PropertyPlace place : places) {
            INFO("property " << static_cast<int>(row.id) << " at " << static_cast<int>(place));
            const bool is_allowed = std::find(row.places.begin(), row.places.end(), place) !=
                                    row.places.end();
            CHECK(check_properties(once, place) == (is_allowed ? Errc::none : Errc::bad_property));
            if (!is_allowed) continue;
            const Errc twice = row.id == user_property ? Errc::none : Errc::repeated_property;
            CHECK(check_properties(once + once, place) == twice);
            for (std::size_t cut = 1; cut < once.size(); ++cut) {
                CHECK(check_properties(Bytes{once}.first(cut), place) == Errc::short_packet);
            }
        }
    }
}

TEST_CASE("properties: unknown identifiers are refused", "[mqtt]") {
    for (const unsigned id : {0U, 4U, 10U, 20U, 27U, 32U, 43U, 63U, 64U, 127U}) {
        CHECK(
            check_properties(raw({id, 0, 0, 0, 0}), PropertyPlace::publish) == Errc::bad_property
        );
    }
    CHECK(check_properties(raw({0xA6, 0x01, 0, 0}), PropertyPlace::publish) == Errc::bad_property);
    // 38, a user property, but not in the shortest form
    CHECK(
        check_properties(raw({0xA6, 0x00, 0, 0, 0, 0}), PropertyPlace::publish) ==
        Errc::malformed_length
    );
}

struct Valued {
    std::uint32_t number;
    PropertyId id;
    PropertyPlace place;
    Errc expected;
};

TEST_CASE("properties: values out of their range are refused", "[mqtt]") {
    using enum PropertyId;
    using Place = PropertyPlace;
    const std::vector<Valued> table = {
        {1, payload_format_indicator, Place::publish, Errc::none},
        {2, payload_format_indicator, Place::publish, Errc::bad_property_value},
        {2, request_problem_information, Place::connect, Errc::bad_property_value},
        {2, request_response_information, Place::connect, Errc::bad_property_value},
        {0, receive_maximum, Place::connect, Errc::bad_property_value},
        {0, maximum_packet_size, Place::connect, Errc::bad_property_value},
        {0, subscription_identifier, Place::subscribe, Errc::bad_property_value},
        {268'435'455, subscription_identifier, Place::subscribe, Errc::none},
        {0, topic_alias, Place::publish, Errc::topic_alias_invalid},
        {0, message_expiry_interval, Place::publish, Errc::none},
        {0xFFFFFFFF, session_expiry_interval, Place::connect, Errc::none}};
    for (const Valued& row : table) {
        INFO("property " << static_cast<int>(row.id) << " = " << row.number);
        Buffer bytes;
        append_number_property(bytes, row.id, row.number);
        CHECK(check_properties(bytes, row.place) == row.expected);
    }
}

TEST_CASE("properties: strings are UTF-8, a response topic has no wildcard", "[mqtt]") {
    Buffer bytes;
    append_text_property(bytes, PropertyId::content_type, "\xFF");
    CHECK(check_properties(bytes, PropertyPlace::publish) == Errc::bad_utf8);
    bytes.clear();
    append_text_property(bytes, PropertyId::correlation_data, "\xFF");  // binary
    CHECK(check_properties(bytes, PropertyPlace::publish) == Errc::none);
    bytes.clear();
    append_text_property(bytes, PropertyId::response_topic, "answers/+");
    CHECK(check_properties(bytes, PropertyPlace::publish) == Errc::bad_property_value);
    bytes.clear();
    append_user_property(bytes, "\xC0\x80", "value");
    CHECK(check_properties(bytes, PropertyPlace::publish) == Errc::bad_utf8);
    bytes.clear();
    append_user_property(bytes, "name", "\xED\xA0\x80");
    CHECK(check_properties(bytes, PropertyPlace::publish) == Errc::bad_utf8);
}

TEST_CASE("properties: a message's are read into one struct, user properties in order", "[mqtt]") {
    Buffer bytes;
    append_number_property(bytes, PropertyId::payload_format_indicator, 1);
    append_number_property(bytes, PropertyId::message_expiry_interval, 3600);
    append_text_property(bytes, PropertyId::content_type, "application/json");
    append_user_property(bytes, "b", "1");
    append_text_property(bytes, PropertyId::response_topic, "answers");
    append_text_property(bytes, PropertyId::correlation_data, "17");
    append_user_property(bytes, "a", "2");
    append_user_property(bytes, "b", "3");
    REQUIRE(check_properties(bytes, PropertyPlace::publish) == Errc::none);

    const MessageProperties message = message_properties(bytes);
    CHECK(message.payload_is_utf8);
    CHECK(message.has_user_properties);
    CHECK(message.message_expiry_s == 3600U);
    CHECK(message.content_type == "application/json");
    CHECK(message.response_topic == "answers");
    CHECK(message.correlation_data == "17");
    std::string users;
    for_each_user_property(bytes, [&users](std::string_view name, std::string_view value) {
        users += std::string{name} + "=" + std::string{value} + " ";
    });
    CHECK(users == "b=1 a=2 b=3 ");
    CHECK(find_number(bytes, PropertyId::message_expiry_interval) == 3600U);
    CHECK_FALSE(find_number(bytes, PropertyId::topic_alias));
    CHECK_FALSE(message_properties({}).has_user_properties);
}

}  // namespace
}  // namespace milepost::mqtt
