#pragma once

#include "gateway/mqtt/properties.hpp"
#include "gateway/mqtt/reason_code.hpp"
#include "storage/base/bytes.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

// The packets of MQTT 3.1.1 and 5.0 as plain structs. Every view in them points into the bytes that
// the packet was decoded from: valid during the call that hands it out, no longer.
namespace milepost::mqtt {

enum class PacketType : std::uint8_t {
    connect = 1,
    connack = 2,
    publish = 3,
    puback = 4,
    pubrec = 5,
    pubrel = 6,
    pubcomp = 7,
    subscribe = 8,
    suback = 9,
    unsubscribe = 10,
    unsuback = 11,
    pingreq = 12,
    pingresp = 13,
    disconnect = 14,
    auth = 15,
};

// The flags that the fixed header of PUBREL, SUBSCRIBE and UNSUBSCRIBE must carry (MQTT-2.2.2-1,
// -2; 5.0: MQTT-2.1.3-1).
inline constexpr unsigned flags_of_requests = 2;

enum class ProtocolLevel : std::uint8_t { v3_1_1 = 4, v5 = 5 };

enum class Qos : std::uint8_t { at_most_once = 0, at_least_once = 1, exactly_once = 2 };

// 0 is no packet id: packets that have one never carry 0 (MQTT-2.2.1-3).
using PacketId = std::uint16_t;

// A session expiry of this many seconds never ends (MQTT 5.0, section 3.1.2.11.2).
inline constexpr std::uint32_t session_expiry_never = 0xFFFFFFFF;

// What the owner of a session keeps of a publish, of the release of a QoS 2 one, or of a SUBSCRIBE
// or UNSUBSCRIBE, and hands back when it is durable.
struct Ticket {
    // How much of the in-flight limit a publish takes is counted in units of this many bytes.
    static constexpr std::size_t weight_bytes = 64;

    PacketId packet_id = 0;                  // 0: QoS 0, nothing to hand back
    std::uint16_t weight = 0;                // bytes of the whole packet in such units, rounded up
    PacketType answer = PacketType::puback;  // or pubrec, pubcomp, suback, unsuback

    friend bool operator==(const Ticket&, const Ticket&) = default;
};

struct Publish {
    // Valid UTF-8, no wildcard. The decoder leaves it empty where only an alias was sent, the
    // session hands over what that stands for.
    std::string_view topic;
    Bytes payload;
    Bytes properties;  // 5.0: checked, without their length; see message_properties()
    Ticket ticket;
    std::uint16_t topic_alias = 0;  // 0: none
    Qos qos = Qos::at_most_once;
    bool retain = false;
    bool dup = false;
};

// What the owner says about a publish or a release. `refused`: it is not written, and answered so
// in its turn. `later` leaves the packet in the input, untouched, and stops the session there (the
// open group is full); receive() comes to it again.
enum class Taken : std::uint8_t { yes, refused, later };

struct Will {
    std::string_view topic;
    Bytes payload;
    Bytes properties;  // as in Publish
    std::uint32_t delay_s = 0;
    Qos qos = Qos::at_most_once;
    bool retain = false;
};

struct Connect {
    std::string_view client_id;  // may be empty: the owner then assigns one
    std::optional<Will> will;
    std::optional<std::string_view> user_name;
    std::optional<Bytes> password;
    Bytes properties;  // 5.0: checked, without their length
    // 3.1.1 has no expiry: 0 with clean session, session_expiry_never without.
    std::uint32_t session_expiry_s = 0;
    std::uint32_t packet_bytes_max = 0xFFFFFFFF;  // the largest packet the client takes
    std::uint16_t receive_maximum = 0xFFFF;       // QoS > 0 publishes the client takes at once
    std::uint16_t topic_alias_maximum = 0;
    std::uint16_t keep_alive_s = 0;  // 0: never timed out
    ProtocolLevel level = ProtocolLevel::v3_1_1;
    bool clean_start = false;
    bool request_problem_information = true;
};

// PUBACK, PUBREC, PUBREL and PUBCOMP.
struct Ack {
    PacketId packet_id = 0;
    ReasonCode reason = ReasonCode::success;
};

struct Disconnect {
    ReasonCode reason = ReasonCode::success;
    // 5.0: the device changes the expiry that its CONNECT asked for.
    std::optional<std::uint32_t> session_expiry_s;
};

struct Subscription {
    std::string_view filter;
    Qos qos = Qos::at_most_once;
    bool no_local = false;             // not what the same client publishes
    bool retain_as_published = false;  // the retain flag as it was sent; else 0, but for retained
    // Whether retained messages are sent: 0 yes, 1 only with a new subscription, 2 no.
    std::uint8_t retain_handling = 0;
};

// SUBSCRIBE and UNSUBSCRIBE. `filters` is checked: take_subscription and take_filter
// (decode.hpp) walk it.
struct Subscribe {
    PacketId packet_id = 0;
    Bytes properties;
    Bytes filters;
    std::size_t filter_count = 0;
    Ticket ticket;  // set by the session
};

struct Connack {
    ReasonCode reason = ReasonCode::success;
    bool session_present = false;
    Bytes properties;  // 5.0 only
};

}  // namespace milepost::mqtt
