#include "gateway/mqtt/encode.hpp"

#include "storage/base/check.hpp"

namespace milepost::mqtt {
namespace {

constexpr std::uint32_t variable_int_max = 268'435'455;

void append_byte(Buffer& out, unsigned value) {
    out.push_back(static_cast<std::byte>(value));
}

std::size_t variable_int_bytes(std::size_t value) {
    if (value < 128) return 1;
    if (value < 16'384) return 2;
    return value < 2'097'152 ? 3 : 4;
}

void append_header(Buffer& out, PacketType type, unsigned flags, std::size_t remaining) {
    append_byte(out, (static_cast<unsigned>(type) << 4U) | flags);
    append_variable_int(out, static_cast<std::uint32_t>(remaining));
}

void append_properties(Buffer& out, Bytes properties) {
    append_variable_int(out, static_cast<std::uint32_t>(properties.size()));
    append_bytes(out, properties);
}

// What a block of properties takes, with its length; nothing in 3.1.1.
std::size_t properties_bytes(ProtocolLevel level, Bytes properties) {
    if (level != ProtocolLevel::v5) return 0;
    return variable_int_bytes(properties.size()) + properties.size();
}

constexpr std::size_t string_bytes(std::size_t text) {
    return 2 + text;
}

unsigned connect_flags(const Connect& connect) {
    unsigned flags = connect.clean_start ? 0x02U : 0U;
    if (connect.will) {
        flags |= 0x04U | (static_cast<unsigned>(connect.will->qos) << 3U);
        if (connect.will->retain) flags |= 0x20U;
    }
    if (connect.password) flags |= 0x40U;
    if (connect.user_name) flags |= 0x80U;
    return flags;
}

std::size_t connect_bytes(const Connect& connect) {
    constexpr std::size_t fixed = 10;  // protocol name, level, flags, keep-alive
    std::size_t bytes = fixed + properties_bytes(connect.level, connect.properties) +
                        string_bytes(connect.client_id.size());
    if (connect.will) {
        bytes += properties_bytes(connect.level, connect.will->properties) +
                 string_bytes(connect.will->topic.size()) +
                 string_bytes(connect.will->payload.size());
    }
    if (connect.user_name) bytes += string_bytes(connect.user_name->size());
    if (connect.password) bytes += string_bytes(connect.password->size());
    return bytes;
}

}  // namespace

void encode_connack(Buffer& out, ProtocolLevel level, const Connack& connack) {
    append_header(out, PacketType::connack, 0, 2 + properties_bytes(level, connack.properties));
    append_byte(out, connack.session_present ? 1 : 0);
    if (level == ProtocolLevel::v5) {
        append_byte(out, static_cast<unsigned>(connack.reason));
        append_properties(out, connack.properties);
    } else {
        append_byte(out, connect_return_code(connack.reason));
    }
}

std::uint8_t connect_return_code(ReasonCode reason) {
    constexpr std::uint8_t accepted = 0;
    constexpr std::uint8_t unacceptable_protocol_version = 1;
    constexpr std::uint8_t identifier_rejected = 2;
    constexpr std::uint8_t server_unavailable = 3;
    constexpr std::uint8_t bad_user_name_or_password = 4;
    constexpr std::uint8_t not_authorized = 5;
    if (reason == ReasonCode::success) return accepted;
    if (reason == ReasonCode::unsupported_protocol_version) return unacceptable_protocol_version;
    if (reason == ReasonCode::client_identifier_not_valid) return identifier_rejected;
    if (reason == ReasonCode::bad_user_name_or_password) return bad_user_name_or_password;
    if (reason == ReasonCode::not_authorized || reason == ReasonCode::banned) return not_authorized;
    return server_unavailable;
}

void encode_suback(
    Buffer& out,
    ProtocolLevel level,
    PacketId packet_id,
    std::span<const ReasonCode> codes
) {
    constexpr std::byte refused_in_3_1_1{0x80};
    const std::size_t rest = properties_bytes(level, {}) + codes.size();
    append_header(out, PacketType::suback, 0, 2 + rest);
    append_big(out, packet_id);
    if (level == ProtocolLevel::v5) append_properties(out, {});
    for (const ReasonCode code : codes) {
        const bool is_refused = level == ProtocolLevel::v3_1_1 && is_failure(code);
        out.push_back(is_refused ? refused_in_3_1_1 : static_cast<std::byte>(code));
    }
}

void encode_unsuback(
    Buffer& out,
    ProtocolLevel level,
    PacketId packet_id,
    std::span<const ReasonCode> codes
) {
    const bool has_codes = level == ProtocolLevel::v5;
    const std::size_t rest = has_codes ? properties_bytes(level, {}) + codes.size() : 0;
    append_header(out, PacketType::unsuback, 0, 2 + rest);
    append_big(out, packet_id);
    if (!has_codes) return;
    append_properties(out, {});
    for (const ReasonCode code : codes) {
        append_byte(out, static_cast<unsigned>(code));
    }
}

void encode_pingresp(Buffer& out) {
    append_header(out, PacketType::pingresp, 0, 0);
}

void encode_ack(Buffer& out, ProtocolLevel level, PacketType type, Ack ack) {
    const bool has_reason = level == ProtocolLevel::v5 && ack.reason != ReasonCode::success;
    const unsigned flags = type == PacketType::pubrel ? flags_of_requests : 0;
    append_header(out, type, flags, has_reason ? 3 : 2);
    append_big(out, ack.packet_id);
    if (has_reason) append_byte(out, static_cast<unsigned>(ack.reason));
}

void encode_disconnect(Buffer& out, ProtocolLevel level, const Disconnect& disconnect) {
    const bool is_bare = disconnect.reason == ReasonCode::success && !disconnect.session_expiry_s;
    if (level != ProtocolLevel::v5 || is_bare) {
        append_header(out, PacketType::disconnect, 0, 0);
        return;
    }
    constexpr std::size_t expiry_bytes = 6;  // length, identifier, four bytes
    append_header(
        out,
        PacketType::disconnect,
        0,
        disconnect.session_expiry_s ? 1 + expiry_bytes : 1
    );
    append_byte(out, static_cast<unsigned>(disconnect.reason));
    if (!disconnect.session_expiry_s) return;
    append_byte(out, expiry_bytes - 1);
    append_number_property(out, PropertyId::session_expiry_interval, *disconnect.session_expiry_s);
}

void encode_connect(Buffer& out, const Connect& connect) {
    append_header(out, PacketType::connect, 0, connect_bytes(connect));
    append_string(out, "MQTT");
    append_byte(out, static_cast<unsigned>(connect.level));
    append_byte(out, connect_flags(connect));
    append_big(out, connect.keep_alive_s);
    const bool is_v5 = connect.level == ProtocolLevel::v5;
    if (is_v5) append_properties(out, connect.properties);
    append_string(out, connect.client_id);
    if (connect.will) {
        if (is_v5) append_properties(out, connect.will->properties);
        append_string(out, connect.will->topic);
        append_string(out, as_text(connect.will->payload));
    }
    if (connect.user_name) append_string(out, *connect.user_name);
    if (connect.password) append_string(out, as_text(*connect.password));
}

void encode_publish(Buffer& out, ProtocolLevel level, const Publish& publish) {
    const bool has_packet_id = publish.qos != Qos::at_most_once;
    const unsigned flags = (publish.dup ? 0x08U : 0U) | (static_cast<unsigned>(publish.qos) << 1U) |
                           (publish.retain ? 0x01U : 0U);
    append_header(
        out,
        PacketType::publish,
        flags,
        string_bytes(publish.topic.size()) + (has_packet_id ? 2 : 0) +
            properties_bytes(level, publish.properties) + publish.payload.size()
    );
    append_string(out, publish.topic);
    if (has_packet_id) append_big(out, publish.ticket.packet_id);
    if (level == ProtocolLevel::v5) append_properties(out, publish.properties);
    append_bytes(out, publish.payload);
}

void encode_subscribe(
    Buffer& out,
    ProtocolLevel level,
    PacketId packet_id,
    std::span<const Subscription> subscriptions,
    Bytes properties
) {
    std::size_t bytes = 2 + properties_bytes(level, properties);
    for (const Subscription& wanted : subscriptions) {
        bytes += string_bytes(wanted.filter.size()) + 1;
    }
    append_header(out, PacketType::subscribe, flags_of_requests, bytes);
    append_big(out, packet_id);
    if (level == ProtocolLevel::v5) append_properties(out, properties);
    for (const Subscription& wanted : subscriptions) {
        append_string(out, wanted.filter);
        append_byte(
            out,
            static_cast<unsigned>(wanted.qos) | (wanted.no_local ? 0x04U : 0U) |
                (wanted.retain_as_published ? 0x08U : 0U) |
                (static_cast<unsigned>(wanted.retain_handling) << 4U)
        );
    }
}

void encode_unsubscribe(
    Buffer& out,
    ProtocolLevel level,
    PacketId packet_id,
    std::span<const std::string_view> filters
) {
    std::size_t bytes = 2 + properties_bytes(level, {});
    for (const std::string_view filter : filters) {
        bytes += string_bytes(filter.size());
    }
    append_header(out, PacketType::unsubscribe, flags_of_requests, bytes);
    append_big(out, packet_id);
    if (level == ProtocolLevel::v5) append_properties(out, {});
    for (const std::string_view filter : filters) {
        append_string(out, filter);
    }
}

void encode_pingreq(Buffer& out) {
    append_header(out, PacketType::pingreq, 0, 0);
}

void append_variable_int(Buffer& out, std::uint32_t value) {
    MILEPOST_CHECK(value <= variable_int_max);
    while (value >= 0x80) {
        append_byte(out, (value & 0x7FU) | 0x80U);
        value >>= 7U;
    }
    append_byte(out, value);
}

void append_string(Buffer& out, std::string_view text) {
    MILEPOST_CHECK(text.size() <= 0xFFFF);
    append_big(out, static_cast<std::uint16_t>(text.size()));
    append_bytes(out, as_bytes(text));
}

void append_number_property(Buffer& out, PropertyId id, std::uint32_t value) {
    using enum PropertyId;
    append_byte(out, static_cast<unsigned>(id));
    const bool has_four_bytes = id == message_expiry_interval || id == session_expiry_interval ||
                                id == will_delay_interval || id == maximum_packet_size;
    const bool has_two_bytes = id == server_keep_alive || id == receive_maximum ||
                               id == topic_alias_maximum || id == topic_alias;
    if (id == subscription_identifier) {
        append_variable_int(out, value);
    } else if (has_four_bytes) {
        append_big(out, value);
    } else if (has_two_bytes) {
        append_big(out, static_cast<std::uint16_t>(value));
    } else {
        append_byte(out, value);
    }
}

void append_text_property(Buffer& out, PropertyId id, std::string_view value) {
    append_byte(out, static_cast<unsigned>(id));
    append_string(out, value);
}

void append_user_property(Buffer& out, std::string_view name, std::string_view value) {
    append_byte(out, static_cast<unsigned>(PropertyId::user_property));
    append_string(out, name);
    append_string(out, value);
}

}  // namespace milepost::mqtt
