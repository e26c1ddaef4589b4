#pragma once

#include "gateway/mqtt/packet.hpp"
#include "storage/base/bytes.hpp"

#include <string>

// What a broker's "no" means, in words. Pure.
namespace milepost::tool {

[[nodiscard]] std::string reason_text(mqtt::ReasonCode reason);

// CONNACK of 3.1.1 has return codes (table 3.1), which `reason` holds as a number.
[[nodiscard]] std::string connect_refusal(mqtt::ProtocolLevel level, mqtt::ReasonCode reason);
// It may be worth trying again.
[[nodiscard]] bool is_refusal_momentary(mqtt::ProtocolLevel level, mqtt::ReasonCode reason);

// Of one publish; `packet` is ours, and may be empty.
[[nodiscard]] std::string refusal_text(
    Bytes packet,
    mqtt::ProtocolLevel level,
    mqtt::ReasonCode reason
);

}  // namespace milepost::tool
