#pragma once

#include "firmware-sim/link.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

// The few packets of MQTT 3.1.1 and 5.0 that a vehicle sends and gets: it publishes and subscribes
// to nothing. Pure. Written from the standards, apart from the gateway's own codec, so that the two
// do not share a misreading.
namespace milepost::fleet::wire {

// Control packet types, MQTT 2.1.2.
enum class PacketType : std::uint8_t {
    connack = 2,
    puback = 4,
    pubrec = 5,
    pubrel = 6,
    pubcomp = 7,
    pingresp = 13,
    disconnect = 14,
};

// What the gateway may send is small; more is refused.
inline constexpr std::size_t packet_bytes_max = 64 * std::size_t{1024};

inline constexpr std::uint8_t refused_code_min = 0x80;  // MQTT 5.0, 2.4

struct Connect {
    MqttVersion version;
    std::string_view client_id;
    std::uint16_t keep_alive_s;
    std::uint32_t session_expiry_s;  // 5.0 only
    bool is_clean;                   // clean session, clean start
    std::string_view user;           // empty: no user name and no password
    std::string_view password;
};

struct Publish {
    MqttVersion version;
    std::string_view topic;
    std::string_view payload;
    std::uint16_t packet_id;  // not written with QoS 0
    int qos;
    bool is_dup;
};

void append_connect(const Connect& connect, std::string& out);
void append_publish(const Publish& publish, std::string& out);
void append_pubrel(std::uint16_t packet_id, std::string& out);
void append_pingreq(std::string& out);
void append_disconnect(std::string& out);

// What the gateway said. Of a field that its packet has not, the value that the standard gives it.
struct Answer {
    PacketType type;
    std::uint16_t packet_id = 0;
    std::uint8_t code = 0;  // return code, reason code
    bool session_present = false;
    std::uint16_t receive_max = 0xffff;
    std::optional<std::uint16_t> keep_alive_s{};  // if the gateway wants another one
    std::uint32_t packet_bytes_max = 0xffffffff;
};

struct Parsed {
    std::size_t taken = 0;  // bytes of the packet; 0: it is not whole yet
    std::optional<Answer> answer{};
    bool is_wrong = false;  // no packet for a vehicle: close the connection
};

// The first packet in `bytes`, which may be hostile.
[[nodiscard]] Parsed parse_answer(MqttVersion version, std::string_view bytes);

}  // namespace milepost::fleet::wire
