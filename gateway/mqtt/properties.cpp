#include "gateway/mqtt/properties.hpp"

#include "gateway/mqtt/topic_filter.hpp"
#include "gateway/mqtt/utf8.hpp"
#include "gateway/mqtt/wire_reader.hpp"

#include <array>

namespace milepost::mqtt {
namespace {

enum class Kind : std::uint8_t { none, byte, two_bytes, four_bytes, variable, text, binary, pair };

constexpr std::uint32_t at(PropertyPlace place) {
    return std::uint32_t{1} << static_cast<unsigned>(place);
}

struct Rule {
    Kind kind = Kind::none;
    std::uint32_t places = 0;  // where a client may send it
};

constexpr std::size_t rule_count = 43;

// MQTT 5.0, table 2-4, without what only a server sends.
consteval std::array<Rule, rule_count> make_rules() {
    using enum PropertyPlace;
    std::array<Rule, rule_count> rules{};
    const auto set = [&rules](PropertyId id, Kind kind, std::uint32_t places) {
        rules[static_cast<std::size_t>(id)] = {kind, places};
    };
    const std::uint32_t messages = at(publish) | at(will);
    const std::uint32_t all = messages | at(connect) | at(PropertyPlace::ack) | at(subscribe) |
                              at(unsubscribe) | at(disconnect);
    set(PropertyId::payload_format_indicator, Kind::byte, messages);
    set(PropertyId::message_expiry_interval, Kind::four_bytes, messages);
    set(PropertyId::content_type, Kind::text, messages);
    set(PropertyId::response_topic, Kind::text, messages);
    set(PropertyId::correlation_data, Kind::binary, messages);
    set(PropertyId::subscription_identifier, Kind::variable, at(subscribe));
    set(PropertyId::session_expiry_interval, Kind::four_bytes, at(connect) | at(disconnect));
    set(PropertyId::assigned_client_identifier, Kind::text, 0);
    set(PropertyId::server_keep_alive, Kind::two_bytes, 0);
    set(PropertyId::authentication_method, Kind::text, at(connect));
    set(PropertyId::authentication_data, Kind::binary, at(connect));
    set(PropertyId::request_problem_information, Kind::byte, at(connect));
    set(PropertyId::will_delay_interval, Kind::four_bytes, at(will));
    set(PropertyId::request_response_information, Kind::byte, at(connect));
    set(PropertyId::response_information, Kind::text, 0);
    set(PropertyId::server_reference, Kind::text, 0);
    set(PropertyId::reason_string, Kind::text, at(PropertyPlace::ack) | at(disconnect));
    set(PropertyId::receive_maximum, Kind::two_bytes, at(connect));
    set(PropertyId::topic_alias_maximum, Kind::two_bytes, at(connect));
    set(PropertyId::topic_alias, Kind::two_bytes, at(publish));
    set(PropertyId::maximum_qos, Kind::byte, 0);
    set(PropertyId::retain_available, Kind::byte, 0);
    set(PropertyId::user_property, Kind::pair, all);
    set(PropertyId::maximum_packet_size, Kind::four_bytes, at(connect));
    set(PropertyId::wildcard_subscription_available, Kind::byte, 0);
    set(PropertyId::subscription_identifier_available, Kind::byte, 0);
    set(PropertyId::shared_subscription_available, Kind::byte, 0);
    return rules;
}

constexpr auto rules = make_rules();

Errc read_value(WireReader& reader, Kind kind, Property& into) {
    switch (kind) {
        case Kind::byte: into.number = reader.byte(); break;
        case Kind::two_bytes: into.number = reader.two_bytes(); break;
        case Kind::four_bytes: into.number = reader.four_bytes(); break;
        case Kind::variable: into.number = reader.variable_int(); break;
        case Kind::text: into.value = reader.text(); break;
        case Kind::binary: into.value = as_text(reader.binary()); break;
        case Kind::pair:
            into.name = reader.text();
            into.value = reader.text();
            break;
        case Kind::none: return Errc::bad_property;
    }
    return reader.error();
}

Errc check_value(const Property& property) {
    using enum PropertyId;
    const PropertyId id = property.id;
    const bool is_flag = id == payload_format_indicator || id == request_problem_information ||
                         id == request_response_information;
    if (is_flag && property.number > 1) return Errc::bad_property_value;
    if (id == topic_alias && property.number == 0) return Errc::topic_alias_invalid;
    const bool may_not_be_0 = id == receive_maximum || id == maximum_packet_size ||
                              id == subscription_identifier;
    if (may_not_be_0 && property.number == 0) return Errc::bad_property_value;
    if (id == response_topic && !is_topic_name(property.value)) return Errc::bad_property_value;
    return Errc::none;
}

}  // namespace

std::optional<Property> PropertyReader::next() {
    if (rest_.empty() || error_ != Errc::none) return std::nullopt;
    WireReader reader{rest_};
    const std::uint32_t id = reader.variable_int();
    Property property{static_cast<PropertyId>(id), 0, {}, {}};
    error_ = reader.error();
    if (error_ == Errc::none) {
        error_ = id < rule_count ? read_value(reader, rules[id].kind, property)
                                 : Errc::bad_property;
    }
    if (error_ != Errc::none) return std::nullopt;
    rest_ = reader.rest();
    return property;
}

PropertyScan scan_properties(Bytes properties, PropertyPlace place) {
    PropertyScan scan;
    PropertyReader reader{properties};
    std::uint64_t seen = 0;
    while (const auto property = reader.next()) {
        const auto id = static_cast<std::size_t>(property->id);
        const std::uint64_t bit = std::uint64_t{1} << id;
        const bool may_repeat = property->id == PropertyId::user_property;
        scan.error = check_value(*property);
        if ((seen & bit) != 0 && !may_repeat) scan.error = Errc::repeated_property;
        if ((rules[id].places & at(place)) == 0) scan.error = Errc::bad_property;
        if (scan.error != Errc::none) return scan;
        seen |= bit;
        if (property->id == PropertyId::topic_alias) {
            scan.topic_alias = static_cast<std::uint16_t>(property->number);
        }
    }
    scan.error = reader.error();
    return scan;
}

std::optional<std::uint32_t> find_number(Bytes properties, PropertyId id) {
    PropertyReader reader{properties};
    while (const auto property = reader.next()) {
        if (property->id == id) return property->number;
    }
    return std::nullopt;
}

MessageProperties message_properties(Bytes properties) {
    MessageProperties message;
    PropertyReader reader{properties};
    while (const auto property = reader.next()) {
        using enum PropertyId;
        const PropertyId id = property->id;
        if (id == payload_format_indicator) message.payload_is_utf8 = property->number == 1;
        if (id == message_expiry_interval) message.message_expiry_s = property->number;
        if (id == content_type) message.content_type = property->value;
        if (id == response_topic) message.response_topic = property->value;
        if (id == correlation_data) message.correlation_data = property->value;
        if (id == user_property) message.has_user_properties = true;
    }
    return message;
}

}  // namespace milepost::mqtt
