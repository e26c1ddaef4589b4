#pragma once

#include "gateway/mqtt/encode.hpp"
#include "tests/support/conversation.hpp"

#include <string_view>

// Packets that the session tests send and expect.
namespace milepost::mqtt {

inline constexpr auto v3 = ProtocolLevel::v3_1_1;
inline constexpr auto v5 = ProtocolLevel::v5;

// The first packet of `bytes`.
[[nodiscard]] inline Frame frame_of(const Buffer& bytes) {
    const FrameResult result = read_frame(bytes, 0xFFFFFFFF);
    REQUIRE(result.status == FrameStatus::whole);
    return result.frame;
}

[[nodiscard]] inline Buffer connect_packet(const Connect& connect) {
    Buffer bytes;
    encode_connect(bytes, connect);
    return bytes;
}

[[nodiscard]] inline Buffer connect_packet(ProtocolLevel level, std::string_view id = "pump-7") {
    Connect connect;
    connect.level = level;
    connect.client_id = id;
    connect.clean_start = true;
    connect.keep_alive_s = 60;
    return connect_packet(connect);
}

[[nodiscard]] inline Buffer connack_v3() {
    return test::raw({0x20, 2, 0, 0});
}

// Receive Maximum 256, Maximum Packet Size 256 KiB, Topic Alias Maximum 32, no shared
// subscriptions.
[[nodiscard]] inline Buffer connack_v5() {
    return test::raw({0x20, 16, 0, 0, 13, 33, 1, 0, 39, 0, 4, 0, 0, 34, 0, 32, 42, 0});
}

[[nodiscard]] inline Buffer connack(ProtocolLevel level) {
    return level == v5 ? connack_v5() : connack_v3();
}

[[nodiscard]] inline Buffer publish_packet(
    ProtocolLevel level,
    unsigned id,
    std::string_view topic = "vehicles/V0001/telemetry",
    std::string_view payload = "{}"
) {
    Publish publish;
    publish.topic = topic;
    publish.payload = as_bytes(payload);
    publish.qos = id == 0 ? Qos::at_most_once : Qos::at_least_once;
    publish.ticket.packet_id = static_cast<PacketId>(id);
    Buffer bytes;
    encode_publish(bytes, level, publish);
    return bytes;
}

[[nodiscard]] inline Buffer puback(unsigned id) {
    Buffer bytes;
    encode_ack(bytes, v3, PacketType::puback, {static_cast<PacketId>(id), ReasonCode::success});
    return bytes;
}

[[nodiscard]] inline Buffer qos_2_packet(
    ProtocolLevel level,
    unsigned id,
    bool dup = false,
    std::string_view payload = "{}"
) {
    Buffer bytes = publish_packet(level, id, "vehicles/V0001/telemetry", payload);
    bytes[0] = dup ? std::byte{0x3C} : std::byte{0x34};
    return bytes;
}

// PUBREC, PUBREL or PUBCOMP.
[[nodiscard]] inline Buffer ack(
    PacketType type,
    unsigned id,
    ReasonCode reason = ReasonCode::success
) {
    Buffer bytes;
    encode_ack(bytes, v5, type, {static_cast<PacketId>(id), reason});
    return bytes;
}

// A conversation of that version that has got as far as the CONNACK.
[[nodiscard]] inline test::Conversation connected(ProtocolLevel level, Limits limits = {}) {
    test::Conversation talk{limits};
    talk.device(connect_packet(level)).accepts().gateway(connack(level));
    return talk;
}

// A device that has got as far.
inline void connect(test::ScriptedDevice& device, ProtocolLevel level) {
    device.sends(connect_packet(level));
    device.is_accepted();
    static_cast<void>(device.take_out());
}

// What the gateway says at an error: a DISCONNECT in 5.0, nothing in 3.1.1.
[[nodiscard]] inline Buffer goodbye(ProtocolLevel level, unsigned reason) {
    return level == v5 ? test::raw({0xE0, 1, reason}) : Buffer{};
}

}  // namespace milepost::mqtt
