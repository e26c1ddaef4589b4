#pragma once

#include "gateway/mqtt/packet.hpp"
#include "gateway/tool/replay_record.hpp"
#include "storage/base/bytes.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace milepost::tool {

// Kafka topic -> MQTT topic with `{key}` for the record's key.
using TopicTemplates = std::map<std::string, std::string, std::less<>>;

// `KAFKA_TOPIC=TEMPLATE`. nullopt: it is none.
[[nodiscard]] std::optional<std::pair<std::string, std::string>> parse_topic_template(
    std::string_view text
);

// Records → publishes: the way that gateway/ingest took, back. `mqtt.topic` is the topic; where it
// is missing, the gateway could have rebuilt it from route and key, and a template does.
// `content-type`, `mqtt.response_topic`, `mqtt.correlation_data`, `mqtt.expiry_s` and `mqtt.retain`
// become what they were, everything else, also `mp.id`, a user property. Pure. Thread: one.
class MqttMessages {
public:
    // `templates` go before the one of the route that is shipped.
    MqttMessages(mqtt::ProtocolLevel level, TopicTemplates templates);

    // Valid until the next call, without packet id and QoS. nullopt: MQTT cannot carry this record,
    // `why` in words. A Failure if nobody said what the topic is.
    [[nodiscard]] std::optional<mqtt::Publish> make(const ReplayRecord& record, std::string& why);

    // Headers that the protocol has no place for: 3.1.1 has no properties, and in 5.0 they are
    // UTF-8 of at most 65,535 bytes.
    [[nodiscard]] std::uint64_t headers_left_out() const { return left_out_; }

private:
    [[nodiscard]] bool take_special(const storage::HeaderView& header, mqtt::Publish& publish);
    [[nodiscard]] bool take_property(const storage::HeaderView& header);
    [[nodiscard]] bool is_first(mqtt::PropertyId id);
    void rebuild_topic(const ReplayRecord& record);

    mqtt::ProtocolLevel level_;
    TopicTemplates templates_;
    std::string topic_;
    Buffer properties_;
    std::uint64_t seen_ = 0;  // properties of this record, by their number
    std::uint64_t left_out_ = 0;
};

}  // namespace milepost::tool
