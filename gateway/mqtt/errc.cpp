#include "gateway/mqtt/errc.hpp"

#include <string>

namespace milepost::mqtt {
namespace {

class Category final : public boost::system::error_category {
public:
    [[nodiscard]] const char* name() const noexcept override { return "mqtt"; }

    [[nodiscard]] std::string message(int value) const override {
        return text_of(static_cast<Errc>(value));
    }
};

}  // namespace

const boost::system::error_category& mqtt_category() {
    static const Category category;
    return category;
}

ErrorCode make_error_code(Errc code) {
    return {static_cast<int>(code), mqtt_category()};
}

const char* text_of(Errc code) {
    switch (code) {
        case Errc::none: return "no error";
        case Errc::malformed_length: return "malformed remaining length";
        case Errc::packet_too_large: return "packet above the limit";
        case Errc::reserved_type: return "reserved packet type";
        case Errc::reserved_flags: return "flags that this packet type does not allow";
        case Errc::short_packet: return "packet ends inside a field";
        case Errc::trailing_bytes: return "bytes behind the last field";
        case Errc::bad_utf8: return "string is not valid UTF-8";
        case Errc::bad_topic_name: return "topic name is empty, not UTF-8 or has a wildcard";
        case Errc::bad_topic_filter:
            return "topic filter is empty, not UTF-8 or misplaces a wildcard";
        case Errc::bad_property: return "property unknown or not allowed here";
        case Errc::repeated_property: return "property given twice";
        case Errc::bad_property_value: return "property with a value that is not allowed";
        case Errc::zero_packet_id: return "packet identifier 0";
        case Errc::bad_qos: return "QoS 3";
        case Errc::dup_without_qos: return "DUP on a QoS 0 publish";
        case Errc::bad_options: return "reserved bits in connect flags or subscription options";
        case Errc::bad_reason_code: return "reason code that this packet does not carry";
        case Errc::no_topic_filter: return "no topic filter";
        case Errc::no_topic_name: return "neither topic name nor topic alias";
        case Errc::connect_expected: return "first packet is not CONNECT";
        case Errc::second_connect: return "second CONNECT";
        case Errc::unexpected_packet: return "packet that a client may not send now";
        case Errc::receive_maximum_exceeded: return "more publishes in flight than Receive Maximum";
        case Errc::topic_alias_invalid: return "topic alias above Topic Alias Maximum, or 0";
        case Errc::session_expiry_raised:
            return "session expiry in DISCONNECT after none in CONNECT";
        case Errc::topic_alias_unknown: return "topic alias that stands for no topic yet";
        case Errc::topic_aliases_too_long: return "topics behind topic aliases take too much";
        case Errc::unknown_protocol_name: return "protocol name is not MQTT";
        case Errc::unsupported_protocol_level: return "protocol level is neither 3.1.1 nor 5.0";
        case Errc::client_id_refused:
            return "client identifier empty without clean session, or too long";
        case Errc::authentication_method_not_served: return "authentication method is not served";
        case Errc::reply_too_large: return "answer is above the client's Maximum Packet Size";
        case Errc::shared_no_local: return "No Local on a shared subscription";
        case Errc::client_disconnected: return "client disconnected";
        case Errc::refused_by_owner: return "connection refused";
        case Errc::closed_by_owner: return "connection closed by the gateway";
    }
    return "unknown error";
}

ReasonCode reason_of(Errc code) {
    switch (code) {
        case Errc::none:
        case Errc::client_disconnected: return ReasonCode::success;
        case Errc::malformed_length:
        case Errc::reserved_type:
        case Errc::reserved_flags:
        case Errc::short_packet:
        case Errc::trailing_bytes:
        case Errc::bad_utf8:
        case Errc::bad_topic_name:
        case Errc::bad_topic_filter:
        case Errc::bad_property:
        case Errc::bad_qos:
        case Errc::bad_options:
        case Errc::bad_reason_code: return ReasonCode::malformed_packet;
        case Errc::packet_too_large: return ReasonCode::packet_too_large;
        case Errc::repeated_property:
        case Errc::bad_property_value:
        case Errc::zero_packet_id:
        case Errc::dup_without_qos:
        case Errc::no_topic_filter:
        case Errc::no_topic_name:
        case Errc::connect_expected:
        case Errc::second_connect:
        case Errc::unexpected_packet:
        case Errc::session_expiry_raised:
        case Errc::topic_alias_unknown:
        case Errc::shared_no_local: return ReasonCode::protocol_error;
        case Errc::receive_maximum_exceeded: return ReasonCode::receive_maximum_exceeded;
        case Errc::topic_alias_invalid: return ReasonCode::topic_alias_invalid;
        case Errc::topic_aliases_too_long: return ReasonCode::quota_exceeded;
        case Errc::unknown_protocol_name:
        case Errc::unsupported_protocol_level: return ReasonCode::unsupported_protocol_version;
        case Errc::client_id_refused: return ReasonCode::client_identifier_not_valid;
        case Errc::authentication_method_not_served: return ReasonCode::bad_authentication_method;
        case Errc::reply_too_large: return ReasonCode::packet_too_large;
        case Errc::refused_by_owner:
        case Errc::closed_by_owner: return ReasonCode::unspecified_error;
    }
    return ReasonCode::unspecified_error;
}

}  // namespace milepost::mqtt
