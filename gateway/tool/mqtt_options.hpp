#pragma once

#include "gateway/mqtt/packet.hpp"
#include "gateway/tool/mqtt_messages.hpp"

#include <cstddef>
#include <optional>
#include <string>

namespace milepost::tool {

// How a replay publishes.
struct MqttOptions {
    mqtt::ProtocolLevel level = mqtt::ProtocolLevel::v5;
    mqtt::Qos qos = mqtt::Qos::exactly_once;
    std::optional<std::size_t> window{};  // records in flight
    std::string user{};                   // empty: none
    std::string password{};               // a secret: never printed
    std::string password_file{};
    std::string ca_file{};
    std::string certificate_file{};
    std::string key_file{};
    TopicTemplates topics{};
};

}  // namespace milepost::tool
