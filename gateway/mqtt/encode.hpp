#pragma once

#include "gateway/mqtt/packet.hpp"
#include "storage/base/bytes.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

// Structs → packets; MQTT 3.1.1 and 5.0, section 3. Everything is appended to a buffer of the
// caller's; nothing is checked: what is encoded is ours.
namespace milepost::mqtt {

// The most that one PUBACK, PUBREC or PUBCOMP of ours takes.
inline constexpr std::size_t answer_bytes_max = 5;

// Writes one of those at `to`, where answer_bytes_max bytes are free, and returns its length.
// Success is the same 4 bytes in both versions; 3.1.1 has no other answer (the owner counts what it
// refused).
[[nodiscard]] inline std::size_t encode_answer(
    std::byte* to,
    ProtocolLevel level,
    PacketType type,
    Ack ack
) {
    to[0] = static_cast<std::byte>(static_cast<unsigned>(type) << 4U);
    to[1] = std::byte{2};
    store_big(to + 2, ack.packet_id);
    if (ack.reason == ReasonCode::success || level != ProtocolLevel::v5) return 4;
    to[1] = std::byte{3};
    to[4] = static_cast<std::byte>(ack.reason);
    return 5;
}

// What a server sends.
void encode_connack(Buffer& out, ProtocolLevel level, const Connack& connack);
// One reason code a filter, in their order. 3.1.1 knows one refusal, 0x80, and no codes in
// UNSUBACK.
void encode_suback(
    Buffer& out,
    ProtocolLevel level,
    PacketId packet_id,
    std::span<const ReasonCode> codes
);
void encode_unsuback(
    Buffer& out,
    ProtocolLevel level,
    PacketId packet_id,
    std::span<const ReasonCode> codes
);
void encode_pingresp(Buffer& out);
// The return code of a 3.1.1 CONNACK that comes nearest (3.1.1, table 3.1).
[[nodiscard]] std::uint8_t connect_return_code(ReasonCode reason);

// What both sides send. `type` is PUBACK, PUBREC, PUBREL or PUBCOMP.
void encode_ack(Buffer& out, ProtocolLevel level, PacketType type, Ack ack);
// A server sends it in 5.0 only; `reason` and expiry are left out in 3.1.1.
void encode_disconnect(Buffer& out, ProtocolLevel level, const Disconnect& disconnect);

// Both sides send it. Properties go out as they stand in the struct (5.0), the alias does not.
void encode_publish(Buffer& out, ProtocolLevel level, const Publish& publish);

// What a client sends: for tests and tools. Properties go out as they stand in the structs.
void encode_connect(Buffer& out, const Connect& connect);
void encode_subscribe(
    Buffer& out,
    ProtocolLevel level,
    PacketId packet_id,
    std::span<const Subscription> subscriptions,
    Bytes properties = {}
);
void encode_unsubscribe(
    Buffer& out,
    ProtocolLevel level,
    PacketId packet_id,
    std::span<const std::string_view> filters
);
void encode_pingreq(Buffer& out);

// Parts of packets.
void append_variable_int(Buffer& out, std::uint32_t value);  // at most 268,435,455
void append_string(Buffer& out, std::string_view text);      // at most 65,535 bytes
void append_number_property(Buffer& out, PropertyId id, std::uint32_t value);
void append_text_property(Buffer& out, PropertyId id, std::string_view value);
void append_user_property(Buffer& out, std::string_view name, std::string_view value);

}  // namespace milepost::mqtt
