// Holds MQTT-2.1.3-1, 2.2.1-2, -3, 3.3.1-2, -4, 3.3.2-1, -2, 3.6.1-1, 3.8.1-1, 3.8.3-1, -2, -5,
// 3.10.1-1, 3.10.3-1, -2, 3.14.1-1, 3.14.2-1, 4.7.3-1 (3.1.1: MQTT-2.2.2-1, -2, 2.3.1-1, -5,
// 3.3.1-2, -4, 3.3.2-1, -2, 3.6.1-1, 3.8.1-1, 3.8.3-1, -3, -4, 3.10.1-1, 3.10.3-1, -2, 3.14.1-1).
#include "gateway/mqtt/decode.hpp"

#include "gateway/mqtt/encode.hpp"
#include "tests/support/scripted_device.hpp"
#include "tests/unit/gateway/mqtt/packets.hpp"

#include <catch2/catch.hpp>

#include <vector>

namespace milepost::mqtt {
namespace {

using test::raw;

Errc publish_error(const Buffer& bytes, ProtocolLevel level) {
    Publish publish;
    return decode_publish(frame_of(bytes), level, publish);
}

TEST_CASE("decode: a PUBLISH comes back as it was, without a copy", "[mqtt]") {
    Buffer properties;
    append_number_property(properties, PropertyId::message_expiry_interval, 9);
    for (const ProtocolLevel level : {v3, v5}) {
        for (const Qos qos : {Qos::at_most_once, Qos::at_least_once, Qos::exactly_once}) {
            Publish sent;
            sent.topic = "vehicles/V0001/telemetry";
            sent.payload = as_bytes("{\"v\":1}");
            if (level == v5) sent.properties = properties;
            sent.qos = qos;
            sent.retain = true;
            sent.dup = qos != Qos::at_most_once;
            if (qos != Qos::at_most_once) sent.ticket.packet_id = 0xABCD;
            Buffer bytes;
            encode_publish(bytes, level, sent);

            Publish got;
            REQUIRE(decode_publish(frame_of(bytes), level, got) == Errc::none);
            CHECK(got.topic == sent.topic);
            CHECK(as_text(got.payload) == "{\"v\":1}");
            CHECK(same_bytes(got.properties, sent.properties));
            CHECK(got.qos == qos);
            CHECK(got.retain);
            CHECK(got.dup == sent.dup);
            CHECK(got.ticket.packet_id == sent.ticket.packet_id);
            CHECK(got.payload.data() > bytes.data());
            CHECK(got.payload.data() < bytes.data() + bytes.size());
        }
    }
}

TEST_CASE("decode: an empty payload is a payload", "[mqtt]") {
    CHECK(publish_error(raw({0x30, 3, 0, 1, 'a'}), v3) == Errc::none);
    CHECK(publish_error(raw({0x30, 4, 0, 1, 'a', 0}), v5) == Errc::none);
}

TEST_CASE("decode: what makes a PUBLISH malformed", "[mqtt]") {
    struct Row {
        Buffer bytes;
        ProtocolLevel level;
        Errc expected;
    };

    const std::vector<Row> table = {
        {raw({0x36, 5, 0, 1, 'a', 0, 1}), v3, Errc::bad_qos},
        {raw({0x38, 3, 0, 1, 'a'}), v3, Errc::dup_without_qos},
        {raw({0x30, 0}), v3, Errc::short_packet},
        {raw({0x30, 1, 0}), v3, Errc::short_packet},
        {raw({0x30, 2, 0, 1}), v3, Errc::short_packet},
        {raw({0x30, 2, 0xFF, 0xFF}), v3, Errc::short_packet},
        {raw({0x32, 4, 0, 1, 'a', 0}), v3, Errc::short_packet},
        {raw({0x32, 5, 0, 1, 'a', 0, 0}), v3, Errc::zero_packet_id},
        {raw({0x30, 2, 0, 0}), v3, Errc::bad_topic_name},
        {raw({0x30, 3, 0, 1, '+'}), v3, Errc::bad_topic_name},
        {raw({0x30, 3, 0, 1, '#'}), v5, Errc::short_packet},
        {raw({0x30, 4, 0, 1, '#', 0}), v5, Errc::bad_topic_name},
        {raw({0x30, 3, 0, 1, 0xFF}), v3, Errc::bad_topic_name},
        {raw({0x30, 3, 0, 1, 0}), v3, Errc::bad_topic_name},
        {raw({0x30, 3, 0, 0, 0}), v5, Errc::no_topic_name},
        {raw({0x30, 6, 0, 0, 3, 35, 0, 7}), v5, Errc::none},
        {raw({0x30, 6, 0, 0, 3, 35, 0, 0}), v5, Errc::topic_alias_invalid},
        {raw({0x30, 6, 0, 1, 'a', 3, 35, 0}), v5, Errc::short_packet},
        {raw({0x30, 6, 0, 1, 'a', 2, 35, 0}), v5, Errc::short_packet},
        {raw({0x30, 6, 0, 1, 'a', 2, 11, 1}), v5, Errc::bad_property},
        {raw({0x30, 5, 0, 1, 'a', 0x80, 0}), v5, Errc::malformed_length},
        {raw({0x30, 7, 0, 1, 'a', 0x80, 0x80, 0x80, 0x80}), v5, Errc::malformed_length}};
    for (const Row& row : table) {
        INFO(test::hex(row.bytes));
        CHECK(text_of(publish_error(row.bytes, row.level)) == text_of(row.expected));
    }
}

TEST_CASE("decode: acks carry an id, in 5.0 perhaps a reason and properties", "[mqtt]") {
    struct Row {
        Buffer bytes;
        ProtocolLevel level;
        Errc expected;
    };

    const std::vector<Row> table = {
        {raw({0x40, 2, 0, 7}), v3, Errc::none},
        {raw({0x40, 3, 0, 7, 0}), v3, Errc::trailing_bytes},
        {raw({0x40, 1, 0}), v3, Errc::short_packet},
        {raw({0x40, 2, 0, 0}), v3, Errc::zero_packet_id},
        {raw({0x42, 2, 0, 7}), v3, Errc::reserved_flags},
        {raw({0x62, 2, 0, 7}), v3, Errc::none},
        {raw({0x60, 2, 0, 7}), v3, Errc::reserved_flags},
        {raw({0x40, 2, 0, 7}), v5, Errc::none},
        {raw({0x40, 3, 0, 7, 0x10}), v5, Errc::none},
        {raw({0x40, 3, 0, 7, 0x01}), v5, Errc::bad_reason_code},
        {raw({0x62, 3, 0, 7, 0x92}), v5, Errc::none},
        {raw({0x62, 3, 0, 7, 0x10}), v5, Errc::bad_reason_code},
        {raw({0x40, 4, 0, 7, 0, 0}), v5, Errc::none},
        {raw({0x40, 8, 0, 7, 0x80, 4, 31, 0, 1, 'x'}), v5, Errc::none},
        {raw({0x40, 6, 0, 7, 0x80, 2, 35, 0}), v5, Errc::short_packet},
        {raw({0x40, 5, 0, 7, 0, 0, 0}), v5, Errc::trailing_bytes}};
    for (const Row& row : table) {
        INFO(test::hex(row.bytes));
        Ack ack;
        CHECK(text_of(decode_ack(frame_of(row.bytes), row.level, ack)) == text_of(row.expected));
        CHECK((row.expected != Errc::none || ack.packet_id == 7));
    }
}

TEST_CASE("decode: the filters of a SUBSCRIBE are checked and walked", "[mqtt]") {
    Buffer properties;
    append_number_property(properties, PropertyId::subscription_identifier, 300);
    const std::vector<Subscription> wanted = {
        {"a/#", Qos::at_least_once, true, false, 2},
        {"$share/group/b", Qos::exactly_once, false, true, 0}};
    Buffer bytes;
    encode_subscribe(bytes, v5, 9, wanted, properties);
    Subscribe got;
    REQUIRE(decode_subscribe(frame_of(bytes), v5, got) == Errc::none);
    CHECK(got.packet_id == 9);
    CHECK(got.filter_count == 2);
    CHECK(find_number(got.properties, PropertyId::subscription_identifier) == 300U);
    Bytes filters = got.filters;
    for (const Subscription& expected : wanted) {
        const Subscription one = take_subscription(filters);
        CHECK(one.filter == expected.filter);
        CHECK(one.qos == expected.qos);
        CHECK(one.no_local == expected.no_local);
        CHECK(one.retain_as_published == expected.retain_as_published);
        CHECK(one.retain_handling == expected.retain_handling);
    }
    CHECK(filters.empty());
}

TEST_CASE("decode: what makes a SUBSCRIBE malformed", "[mqtt]") {
    struct Row {
        Buffer bytes;
        ProtocolLevel level;
        Errc expected;
    };

    const std::vector<Row> table = {
        {raw({0x82, 6, 0, 1, 0, 1, 'a', 0}), v3, Errc::none},
        {raw({0x80, 6, 0, 1, 0, 1, 'a', 0}), v3, Errc::reserved_flags},
        {raw({0x82, 6, 0, 0, 0, 1, 'a', 0}), v3, Errc::zero_packet_id},
        {raw({0x82, 2, 0, 1}), v3, Errc::no_topic_filter},
        {raw({0x82, 3, 0, 1, 0}), v5, Errc::no_topic_filter},
        {raw({0x82, 5, 0, 1, 0, 1, 'a'}), v3, Errc::short_packet},
        {raw({0x82, 6, 0, 1, 0, 1, 'a', 3}), v3, Errc::bad_options},
        {raw({0x82, 6, 0, 1, 0, 1, 'a', 4}), v3, Errc::bad_options},
        {raw({0x82, 7, 0, 1, 0, 0, 1, 'a', 0x2E}), v5, Errc::none},
        {raw({0x82, 7, 0, 1, 0, 0, 1, 'a', 0x30}), v5, Errc::bad_options},
        {raw({0x82, 7, 0, 1, 0, 0, 1, 'a', 0x40}), v5, Errc::bad_options},
        {raw({0x82, 7, 0, 1, 0, 0, 1, 'a', 0x03}), v5, Errc::bad_options},
        {raw({0x82, 5, 0, 1, 0, 0, 0}), v3, Errc::bad_topic_filter},
        {raw({0x82, 6, 0, 1, 0, 1, 0xFF, 0}), v3, Errc::bad_utf8},
        {raw({0x82, 7, 0, 1, 0, 2, 'a', '#', 0}), v3, Errc::bad_topic_filter}};
    for (const Row& row : table) {
        INFO(test::hex(row.bytes));
        Subscribe subscribe;
        const Errc got = decode_subscribe(frame_of(row.bytes), row.level, subscribe);
        CHECK(text_of(got) == text_of(row.expected));
    }
}

TEST_CASE("decode: an UNSUBSCRIBE has filters without options", "[mqtt]") {
    const std::vector<std::string_view> wanted = {"a/#", "b"};
    for (const ProtocolLevel level : {v3, v5}) {
        Buffer bytes;
        encode_unsubscribe(bytes, level, 9, wanted);
        Subscribe got;
        REQUIRE(decode_unsubscribe(frame_of(bytes), level, got) == Errc::none);
        CHECK(got.filter_count == 2);
        Bytes filters = got.filters;
        CHECK(take_filter(filters) == "a/#");
        CHECK(take_filter(filters) == "b");
        CHECK(filters.empty());
    }
    Subscribe none;
    CHECK(decode_unsubscribe(frame_of(raw({0xA2, 2, 0, 1})), v3, none) == Errc::no_topic_filter);
    CHECK(
        decode_unsubscribe(frame_of(raw({0xA0, 5, 0, 1, 0, 1, 'a'})), v3, none) ==
        Errc::reserved_flags
    );
}

TEST_CASE("decode: a DISCONNECT is empty in 3.1.1 and may say why in 5.0", "[mqtt]") {
    struct Row {
        Buffer bytes;
        ProtocolLevel level;
        Errc expected;
    };

    const std::vector<Row> table = {
        {raw({0xE0, 0}), v3, Errc::none},
        {raw({0xE1, 0}), v3, Errc::reserved_flags},
        {raw({0xE0, 1, 0}), v3, Errc::trailing_bytes},
        {raw({0xE0, 0}), v5, Errc::none},
        {raw({0xE0, 1, 4}), v5, Errc::none},
        {raw({0xE0, 1, 0x8B}), v5, Errc::bad_reason_code},
        {raw({0xE0, 2, 0, 0}), v5, Errc::none},
        {raw({0xE0, 7, 0, 5, 17, 0, 0, 1, 0}), v5, Errc::none},
        {raw({0xE0, 6, 0, 4, 28, 0, 1, 'x'}), v5, Errc::bad_property},
        {raw({0xE0, 3, 0, 0, 0}), v5, Errc::trailing_bytes}};
    for (const Row& row : table) {
        INFO(test::hex(row.bytes));
        Disconnect leaving;
        const Errc got = decode_disconnect(frame_of(row.bytes), row.level, leaving);
        CHECK(text_of(got) == text_of(row.expected));
    }
    Disconnect leaving;
    REQUIRE(
        decode_disconnect(frame_of(raw({0xE0, 7, 4, 5, 17, 0, 0, 1, 0})), v5, leaving) == Errc::none
    );
    CHECK(leaving.reason == ReasonCode::disconnect_with_will);
    CHECK(leaving.session_expiry_s == 256U);
}

TEST_CASE("decode: a PINGREQ is empty", "[mqtt]") {
    CHECK(decode_pingreq(frame_of(raw({0xC0, 0}))) == Errc::none);
    CHECK(decode_pingreq(frame_of(raw({0xC0, 1, 0}))) == Errc::trailing_bytes);
    CHECK(decode_pingreq(frame_of(raw({0xC8, 0}))) == Errc::reserved_flags);
}

}  // namespace
}  // namespace milepost::mqtt
