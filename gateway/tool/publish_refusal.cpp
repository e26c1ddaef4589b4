#include "gateway/tool/publish_refusal.hpp"

#include "gateway/mqtt/decode.hpp"
#include "gateway/mqtt/frame_reader.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>
#include <string_view>
#include <utility>

namespace milepost::tool {

namespace {

using mqtt::ProtocolLevel;
using mqtt::ReasonCode;

struct Words {
    ReasonCode reason;
    std::string_view text;
};

constexpr std::array words = {
    Words{ReasonCode::success, "normal end"},
    Words{ReasonCode::unspecified_error, "unspecified error"},
    Words{ReasonCode::malformed_packet, "malformed packet"},
    Words{ReasonCode::protocol_error, "protocol error"},
    Words{ReasonCode::implementation_specific_error, "implementation specific error"},
    Words{ReasonCode::unsupported_protocol_version, "this version of MQTT is not served"},
    Words{ReasonCode::client_identifier_not_valid, "client identifier not valid"},
    Words{ReasonCode::bad_user_name_or_password, "bad user name or password"},
    Words{ReasonCode::not_authorized, "not authorised"},
    Words{ReasonCode::server_unavailable, "server unavailable"},
    Words{ReasonCode::server_busy, "server busy"},
    Words{ReasonCode::banned, "banned"},
    Words{ReasonCode::server_shutting_down, "server shutting down"},
    Words{ReasonCode::keep_alive_timeout, "keep alive timeout"},
    Words{ReasonCode::session_taken_over, "session taken over: is this replay running twice?"},
    Words{ReasonCode::topic_name_invalid, "topic name invalid"},
    Words{ReasonCode::packet_identifier_in_use, "packet identifier in use"},
    Words{ReasonCode::receive_maximum_exceeded, "receive maximum exceeded"},
    Words{ReasonCode::packet_too_large, "packet too large"},
    Words{ReasonCode::message_rate_too_high, "message rate too high"},
    Words{ReasonCode::quota_exceeded, "quota exceeded"},
    Words{ReasonCode::retain_not_supported, "retain not supported"},
    Words{ReasonCode::qos_not_supported, "QoS not supported"},
    Words{ReasonCode::connection_rate_exceeded, "connection rate exceeded"}};

constexpr std::array<std::string_view, 6> return_codes = {
    "normal end",
    "this version of MQTT is not served (see -V)",
    "client identifier not valid",
    "server unavailable",
    "bad user name or password",
    "not authorised"};

}  // namespace

std::string reason_text(ReasonCode reason) {
    const auto found = std::ranges::find(words, reason, &Words::reason);
    if (found != words.end()) return std::string{found->text};
    return fmt::format("reason 0x{:02x}", static_cast<unsigned>(reason));
}

std::string connect_refusal(ProtocolLevel level, ReasonCode reason) {
    const auto code = static_cast<std::size_t>(reason);
    if (level == ProtocolLevel::v5) return reason_text(reason);
    return code < return_codes.size() ? std::string{return_codes[code]}
                                      : fmt::format("return code {}", code);
}

bool is_refusal_momentary(ProtocolLevel level, ReasonCode reason) {
    constexpr unsigned unavailable = 3;
    if (level != ProtocolLevel::v5) return static_cast<unsigned>(reason) == unavailable;
    return reason == ReasonCode::server_unavailable || reason == ReasonCode::server_busy ||
           reason == ReasonCode::connection_rate_exceeded;
}

std::string refusal_text(Bytes packet, ProtocolLevel level, ReasonCode reason) {
    constexpr auto no_limit = std::numeric_limits<std::uint32_t>::max();
    const auto found = mqtt::read_frame(packet, no_limit);
    mqtt::Publish publish;
    const bool is_read = found.status == mqtt::FrameStatus::whole &&
                         mqtt::decode_publish(found.frame, level, publish) == mqtt::Errc::none;
    if (!is_read) return reason_text(reason);
    return fmt::format("{}: {}", publish.topic, reason_text(reason));
}

}  // namespace milepost::tool
