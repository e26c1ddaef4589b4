#pragma once

#include "gateway/mqtt/errc.hpp"
#include "storage/base/bytes.hpp"

#include <cstdint>
#include <optional>
#include <string_view>

namespace milepost::mqtt {

// MQTT 5.0, section 2.2.2.2.
enum class PropertyId : std::uint8_t {
    payload_format_indicator = 1,
    message_expiry_interval = 2,
    content_type = 3,
    response_topic = 8,
    correlation_data = 9,
    subscription_identifier = 11,
    session_expiry_interval = 17,
    assigned_client_identifier = 18,
    server_keep_alive = 19,
    authentication_method = 21,
    authentication_data = 22,
    request_problem_information = 23,
    will_delay_interval = 24,
    request_response_information = 25,
    response_information = 26,
    server_reference = 28,
    reason_string = 31,
    receive_maximum = 33,
    topic_alias_maximum = 34,
    topic_alias = 35,
    maximum_qos = 36,
    retain_available = 37,
    user_property = 38,
    maximum_packet_size = 39,
    wildcard_subscription_available = 40,
    subscription_identifier_available = 41,
    shared_subscription_available = 42,
};

// One property as it stands in the packet; views into the packet's bytes.
struct Property {
    PropertyId id{};
    std::uint32_t number = 0;  // byte, two-byte, four-byte and variable-byte integers
    std::string_view name;     // of a user property
    std::string_view value;    // strings and binary data
};

// Reads the properties of one packet, one after the other, without the length in front of them.
// On bytes that check_properties has passed next() never fails; on others it stops there.
class PropertyReader {
public:
    explicit PropertyReader(Bytes properties)
        : rest_(properties) {}

    // The next property; nullopt at the end or at something that is none: then error() says what.
    [[nodiscard]] std::optional<Property> next();

    [[nodiscard]] Errc error() const { return error_; }

private:
    Bytes rest_;
    Errc error_ = Errc::none;
};

// The places that carry properties from a client to a server.
enum class PropertyPlace : std::uint8_t {
    connect,
    will,
    publish,
    ack,  // PUBACK, PUBREC, PUBREL, PUBCOMP
    subscribe,
    unsubscribe,
    disconnect,
};

// What one walk over a packet's properties finds.
struct PropertyScan {
    Errc error = Errc::none;
    std::uint16_t topic_alias = 0;  // 0: none
};

// Whether every property is well-formed, allowed at that place, there at most once (but for user
// properties) and of an allowed value. Bounded by the bytes; allocates nothing.
[[nodiscard]] PropertyScan scan_properties(Bytes properties, PropertyPlace place);

// The same, for places where nothing but the error counts.
[[nodiscard]] inline Errc check_properties(Bytes properties, PropertyPlace place) {
    return scan_properties(properties, place).error;
}

// The number of the first property of that kind, if it is there. For checked bytes.
[[nodiscard]] std::optional<std::uint32_t> find_number(Bytes properties, PropertyId id);

// What ingest wants of a PUBLISH's or will's properties; views into the packet. For checked bytes.
// User properties, of which there may be many, are read with a PropertyReader over the same bytes.
struct MessageProperties {
    bool payload_is_utf8 = false;
    bool has_user_properties = false;
    std::optional<std::uint32_t> message_expiry_s;
    std::string_view content_type;
    std::string_view response_topic;
    std::string_view correlation_data;
};

[[nodiscard]] MessageProperties message_properties(Bytes properties);

// Calls `take(name, value)` for each user property in the packet's order. For checked bytes.
template <class Take>
void for_each_user_property(Bytes properties, Take take) {
    PropertyReader reader{properties};
    while (const auto property = reader.next()) {
        if (property->id == PropertyId::user_property) take(property->name, property->value);
    }
}

}  // namespace milepost::mqtt
