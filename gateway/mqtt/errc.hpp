#pragma once

#include "gateway/mqtt/reason_code.hpp"
#include "storage/base/result.hpp"

#include <cstdint>

namespace milepost::mqtt {

// Why a packet was not taken or a connection ended. Numbered for logs and metrics, never renamed.
// `none` means no error, so that the decoder of the fast path can return this type by itself.
enum class Errc : std::uint8_t {
    none = 0,

    // Bytes that are no packet.
    malformed_length = 1,    // remaining length: a fifth byte, or not in its shortest form (5.0)
    packet_too_large = 2,    // above the configured packet limit
    reserved_type = 3,       // packet type 0, or 15 in 3.1.1
    reserved_flags = 4,      // flags of the fixed header that the type does not allow
    short_packet = 5,        // a field reaches behind the end of the packet
    trailing_bytes = 6,      // bytes behind the last field
    bad_utf8 = 7,            // ill-formed UTF-8, a surrogate or U+0000
    bad_topic_name = 8,      // empty, or with a wildcard
    bad_topic_filter = 9,    // empty, or a wildcard at a wrong place
    bad_property = 10,       // unknown, or not allowed in this packet
    repeated_property = 11,  // a property twice that may be there once
    bad_property_value = 12,
    zero_packet_id = 13,
    bad_qos = 14,          // QoS 3
    dup_without_qos = 15,  // DUP on a QoS 0 publish
    bad_options = 16,      // subscription options or connect flags with reserved bits
    bad_reason_code = 17,  // a reason code that this packet does not carry
    no_topic_filter = 18,  // SUBSCRIBE or UNSUBSCRIBE without a single filter
    no_topic_name = 19,    // 5.0: an empty topic and no alias either

    // Packets at the wrong time or from the wrong side.
    connect_expected = 30,
    second_connect = 31,
    unexpected_packet = 32,  // a packet that only a server sends, or AUTH
    receive_maximum_exceeded = 33,
    topic_alias_invalid = 34,
    session_expiry_raised = 35,  // DISCONNECT with an expiry after a CONNECT without one
    topic_alias_unknown = 36,    // an empty topic and an alias that stands for none
    topic_aliases_too_long = 37,

    // CONNECTs that are not served.
    unknown_protocol_name = 40,
    unsupported_protocol_level = 41,
    client_id_refused = 42,  // empty where it may not be, or too long
    authentication_method_not_served = 44,
    reply_too_large = 45,  // an answer is above the client's Maximum Packet Size

    shared_no_local = 53,  // No Local on a shared subscription (MQTT-3.8.3-4)

    // Ends without a fault of the device.
    client_disconnected = 60,
    refused_by_owner = 61,
    closed_by_owner = 62,
};

[[nodiscard]] const boost::system::error_category& mqtt_category();
[[nodiscard]] ErrorCode make_error_code(Errc code);

// A few words for the log; static storage.
[[nodiscard]] const char* text_of(Errc code);

// What MQTT 5.0 tells the device: the reason of the DISCONNECT or CONNACK.
[[nodiscard]] ReasonCode reason_of(Errc code);

}  // namespace milepost::mqtt

template <>
struct boost::system::is_error_code_enum<milepost::mqtt::Errc> : std::true_type {};
