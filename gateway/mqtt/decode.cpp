#include "gateway/mqtt/decode.hpp"

#include "gateway/mqtt/topic_filter.hpp"
#include "gateway/mqtt/wire_reader.hpp"

#include <algorithm>
#include <array>

namespace milepost::mqtt {
namespace {

Errc end_of(const WireReader& reader) {
    if (reader.error() != Errc::none) return reader.error();
    return reader.rest().empty() ? Errc::none : Errc::trailing_bytes;
}

// Reads and checks a block of properties; {} after an error, which then stands in the reader.
Bytes checked_properties(WireReader& reader, PropertyPlace place) {
    const Bytes properties = reader.properties();
    const Errc why = check_properties(properties, place);
    if (why == Errc::none) return properties;
    reader.fail(why);
    return {};
}

PacketId packet_id(WireReader& reader) {
    const PacketId id = reader.two_bytes();
    if (id == 0) reader.fail(Errc::zero_packet_id);
    return id;
}

struct ConnectFlags {
    explicit ConnectFlags(std::uint8_t bits)
        : bits_(bits) {}

    [[nodiscard]] bool clean_start() const { return (bits_ & 0x02U) != 0; }

    [[nodiscard]] bool will() const { return (bits_ & 0x04U) != 0; }

    [[nodiscard]] unsigned will_qos() const { return (bits_ >> 3U) & 3U; }

    [[nodiscard]] bool will_retain() const { return (bits_ & 0x20U) != 0; }

    [[nodiscard]] bool password() const { return (bits_ & 0x40U) != 0; }

    [[nodiscard]] bool user_name() const { return (bits_ & 0x80U) != 0; }

    // MQTT-3.1.2-3, -11 to -15, and in 3.1.1 -22.
    [[nodiscard]] Errc check(ProtocolLevel level) const {
        if (will_qos() == 3) return Errc::bad_qos;
        const bool is_reserved_set = (bits_ & 0x01U) != 0;
        const bool is_will_half_set = !will() && (will_qos() != 0 || will_retain());
        const bool is_password_alone = password() && !user_name();
        const bool is_wrong = is_reserved_set || is_will_half_set ||
                              (is_password_alone && level == ProtocolLevel::v3_1_1);
        return is_wrong ? Errc::bad_options : Errc::none;
    }

private:
    std::uint8_t bits_;
};

// Protocol name and level: what decides how everything behind them is read.
Errc decode_protocol(WireReader& reader, Connect& into) {
    const std::string_view name = reader.text();
    const std::uint8_t level = reader.byte();
    if (reader.error() != Errc::none) return reader.error();
    // MQTT 3.1 called itself so; it understands the answer of 3.1.1.
    if (name == "MQIsdp") return Errc::unsupported_protocol_level;
    if (name != "MQTT") return Errc::unknown_protocol_name;
    // The top bit is what bridges of some brokers set.
    const bool is_answered_in_v5 = (level & 0x7FU) >= 5;
    into.level = is_answered_in_v5 ? ProtocolLevel::v5 : ProtocolLevel::v3_1_1;
    return level == 4 || level == 5 ? Errc::none : Errc::unsupported_protocol_level;
}

Errc decode_connect_properties(WireReader& reader, Connect& into) {
    into.properties = checked_properties(reader, PropertyPlace::connect);
    bool has_authentication_data = false;
    bool has_authentication_method = false;
    PropertyReader properties{into.properties};
    while (const auto property = properties.next()) {
        using enum PropertyId;
        const PropertyId id = property->id;
        const std::uint32_t number = property->number;
        if (id == session_expiry_interval) into.session_expiry_s = number;
        if (id == maximum_packet_size) into.packet_bytes_max = number;
        if (id == receive_maximum) into.receive_maximum = static_cast<std::uint16_t>(number);
        if (id == topic_alias_maximum) {
            into.topic_alias_maximum = static_cast<std::uint16_t>(number);
        }
        if (id == request_problem_information) into.request_problem_information = number == 1;
        if (id == authentication_data) has_authentication_data = true;
        if (id == authentication_method) has_authentication_method = true;
    }
    if (reader.error() != Errc::none) return reader.error();
    if (has_authentication_method) return Errc::authentication_method_not_served;
    return has_authentication_data ? Errc::bad_property : Errc::none;
}

void decode_will(WireReader& reader, ConnectFlags flags, Connect& into) {
    Will will;
    if (into.level == ProtocolLevel::v5) {
        will.properties = checked_properties(reader, PropertyPlace::will);
        will.delay_s = find_number(will.properties, PropertyId::will_delay_interval).value_or(0);
    }
    will.topic = reader.text();
    will.payload = reader.binary();
    will.qos = static_cast<Qos>(flags.will_qos());
    will.retain = flags.will_retain();
    if (!is_topic_name(will.topic)) reader.fail(Errc::bad_topic_name);
    into.will = will;
}

// Takes the properties off the front of `rest`.
Errc decode_publish_properties(Bytes& rest, Publish& into) {
    if (!rest.empty() && rest.front() == std::byte{0}) {  // none: the common case
        rest = rest.subspan(1);
        return Errc::none;
    }
    WireReader reader{rest};
    into.properties = reader.properties();
    const PropertyScan scan = scan_properties(into.properties, PropertyPlace::publish);
    into.topic_alias = scan.topic_alias;
    rest = reader.rest();
    return reader.error() != Errc::none ? reader.error() : scan.error;
}

// Nothing of ours is needed from a client's acks and disconnects but that they are well-formed.
void skip_properties(WireReader& reader, PropertyPlace place) {
    if (!reader.rest().empty()) static_cast<void>(checked_properties(reader, place));
}

bool is_ack_reason(PacketType type, ReasonCode reason) {
    using enum ReasonCode;
    if (reason == success) return true;
    if (type == PacketType::pubrel || type == PacketType::pubcomp) {
        return reason == packet_identifier_not_found;
    }
    constexpr std::array reasons{
        no_matching_subscribers,
        unspecified_error,
        implementation_specific_error,
        not_authorized,
        topic_name_invalid,
        packet_identifier_in_use,
        quota_exceeded,
        payload_format_invalid};
    return std::find(reasons.begin(), reasons.end(), reason) != reasons.end();
}

// MQTT 5.0, table 3-13: those that a client may send.
bool is_client_disconnect_reason(ReasonCode reason) {
    using enum ReasonCode;
    constexpr std::array reasons{
        success,
        disconnect_with_will,
        unspecified_error,
        malformed_packet,
        protocol_error,
        implementation_specific_error,
        topic_name_invalid,
        receive_maximum_exceeded,
        topic_alias_invalid,
        packet_too_large,
        message_rate_too_high,
        quota_exceeded,
        administrative_action,
        payload_format_invalid};
    return std::find(reasons.begin(), reasons.end(), reason) != reasons.end();
}

constexpr unsigned no_local_bit = 0x04;

// MQTT-3.8.3-5 in 5.0, -4 in 3.1.1: reserved bits, QoS 3, retain handling 3.
bool are_options_valid(std::uint8_t options, ProtocolLevel level) {
    const bool is_qos_valid = (options & 0x03U) != 3;
    if (level == ProtocolLevel::v3_1_1) return is_qos_valid && (options & 0xFCU) == 0;
    return is_qos_valid && (options & 0xC0U) == 0 && (options & 0x30U) != 0x30U;
}

// The common part of SUBSCRIBE and UNSUBSCRIBE; the latter's filters have no options.
Errc decode_filters(const Frame& frame, ProtocolLevel level, bool have_options, Subscribe& into) {
    if (frame.flags() != flags_of_requests) return Errc::reserved_flags;
    WireReader reader{frame.body};
    into.packet_id = packet_id(reader);
    if (level == ProtocolLevel::v5) {
        into.properties = checked_properties(
            reader,
            have_options ? PropertyPlace::subscribe : PropertyPlace::unsubscribe
        );
    }
    into.filters = reader.rest();
    while (!reader.rest().empty()) {
        const std::string_view filter = reader.text();
        const bool is_shared_filter = level == ProtocolLevel::v5 && is_shared(filter);
        if (!(is_shared_filter ? is_shared_topic_filter(filter) : is_topic_filter(filter))) {
            reader.fail(Errc::bad_topic_filter);
        }
        if (have_options) {
            const std::uint8_t options = reader.byte();
            if (!are_options_valid(options, level)) reader.fail(Errc::bad_options);
            if (is_shared_filter && (options & no_local_bit) != 0) {
                reader.fail(Errc::shared_no_local);  // MQTT-3.8.3-4
            }
        }
        ++into.filter_count;
    }
    if (reader.error() != Errc::none) return reader.error();
    return into.filter_count == 0 ? Errc::no_topic_filter : Errc::none;
}

}  // namespace

Errc decode_connect(const Frame& frame, Connect& into) {
    if (frame.flags() != 0) return Errc::reserved_flags;
    WireReader reader{frame.body};
    const Errc protocol = decode_protocol(reader, into);
    if (protocol != Errc::none) return protocol;
    if (into.level == ProtocolLevel::v5 && !frame.is_length_minimal) return Errc::malformed_length;

    const ConnectFlags flags{reader.byte()};
    into.keep_alive_s = reader.two_bytes();
    if (reader.error() != Errc::none) return reader.error();
    const Errc valid = flags.check(into.level);
    if (valid != Errc::none) return valid;
    into.clean_start = flags.clean_start();
    if (into.level == ProtocolLevel::v5) {
        const Errc properties = decode_connect_properties(reader, into);
        if (properties != Errc::none) return properties;
    } else {
        into.session_expiry_s = into.clean_start ? 0 : session_expiry_never;
    }
    into.client_id = reader.text();
    if (flags.will()) decode_will(reader, flags, into);
    if (flags.user_name()) into.user_name = reader.text();
    if (flags.password()) into.password = reader.binary();
    return end_of(reader);
}

Errc decode_publish(const Frame& frame, ProtocolLevel level, Publish& into) {
    constexpr std::size_t length_bytes = 2;
    constexpr std::size_t packet_id_bytes = 2;
    const unsigned flags = frame.flags();
    const unsigned qos = (flags >> 1U) & 3U;
    into.retain = (flags & 0x01U) != 0;
    into.dup = (flags & 0x08U) != 0;
    if (qos == 3) return Errc::bad_qos;                      // MQTT-3.3.1-4
    if (into.dup && qos == 0) return Errc::dup_without_qos;  // MQTT-3.3.1-2
    into.qos = static_cast<Qos>(qos);

    Bytes rest = frame.body;
    if (rest.size() < length_bytes) return Errc::short_packet;
    const std::size_t topic_end = length_bytes + load_big<std::uint16_t>(rest.data());
    const std::size_t header_end = topic_end + (qos == 0 ? 0 : packet_id_bytes);
    if (rest.size() < header_end) return Errc::short_packet;
    into.topic = as_text(rest.subspan(length_bytes, topic_end - length_bytes));
    if (qos != 0) {
        into.ticket.packet_id = load_big<PacketId>(rest.data() + topic_end);
        if (into.ticket.packet_id == 0) return Errc::zero_packet_id;
    }
    rest = rest.subspan(header_end);
    if (level == ProtocolLevel::v5) {
        const Errc why = decode_publish_properties(rest, into);
        if (why != Errc::none) return why;
    }
    into.payload = rest;
    if (is_topic_name(into.topic)) return Errc::none;
    if (!into.topic.empty() || level == ProtocolLevel::v3_1_1) return Errc::bad_topic_name;
    return into.topic_alias != 0 ? Errc::none : Errc::no_topic_name;
}

Errc decode_ack(const Frame& frame, ProtocolLevel level, Ack& into) {
    const PacketType type = frame.type();
    if (frame.flags() != (type == PacketType::pubrel ? flags_of_requests : 0)) {
        return Errc::reserved_flags;
    }
    WireReader reader{frame.body};
    into.packet_id = packet_id(reader);
    if (level == ProtocolLevel::v5 && !reader.rest().empty()) {
        into.reason = static_cast<ReasonCode>(reader.byte());
        if (!is_ack_reason(type, into.reason)) reader.fail(Errc::bad_reason_code);
        skip_properties(reader, PropertyPlace::ack);
    }
    return end_of(reader);
}

Errc decode_subscribe(const Frame& frame, ProtocolLevel level, Subscribe& into) {
    return decode_filters(frame, level, /*have_options=*/true, into);
}

Errc decode_unsubscribe(const Frame& frame, ProtocolLevel level, Subscribe& into) {
    return decode_filters(frame, level, /*have_options=*/false, into);
}

Errc decode_pingreq(const Frame& frame) {
    if (frame.flags() != 0) return Errc::reserved_flags;
    return frame.body.empty() ? Errc::none : Errc::trailing_bytes;
}

Errc decode_disconnect(const Frame& frame, ProtocolLevel level, Disconnect& into) {
    if (frame.flags() != 0) return Errc::reserved_flags;  // MQTT-3.14.1-1
    WireReader reader{frame.body};
    if (level == ProtocolLevel::v5 && !reader.rest().empty()) {
        into.reason = static_cast<ReasonCode>(reader.byte());
        if (!is_client_disconnect_reason(into.reason)) reader.fail(Errc::bad_reason_code);
        if (!reader.rest().empty()) {
            const Bytes properties = checked_properties(reader, PropertyPlace::disconnect);
            into.session_expiry_s = find_number(properties, PropertyId::session_expiry_interval);
        }
    }
    return end_of(reader);
}

Errc decode_connack(const Frame& frame, ProtocolLevel level, Connack& into) {
    if (frame.flags() != 0) return Errc::reserved_flags;
    WireReader reader{frame.body};
    const std::uint8_t flags = reader.byte();
    if (flags > 1) reader.fail(Errc::reserved_flags);
    into.session_present = flags == 1;
    into.reason = static_cast<ReasonCode>(reader.byte());
    if (level == ProtocolLevel::v5) into.properties = reader.properties();
    return end_of(reader);
}

Subscription take_subscription(Bytes& filters) {
    constexpr std::size_t options_bytes = 1;
    const std::string_view filter = take_filter(filters);
    const auto options = std::to_integer<std::uint8_t>(filters.front());
    filters = filters.subspan(options_bytes);
    return {
        filter,
        static_cast<Qos>(options & 0x03U),
        (options & no_local_bit) != 0,
        (options & 0x08U) != 0,
        static_cast<std::uint8_t>((options >> 4U) & 0x03U)};
}

std::string_view take_filter(Bytes& filters) {
    constexpr std::size_t length_bytes = 2;
    const std::size_t length = load_big<std::uint16_t>(filters.data());
    const std::string_view filter = as_text(filters.subspan(length_bytes, length));
    filters = filters.subspan(length_bytes + length);
    return filter;
}

}  // namespace milepost::mqtt
