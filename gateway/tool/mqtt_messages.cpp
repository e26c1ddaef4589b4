#include "gateway/tool/mqtt_messages.hpp"

#include "gateway/mqtt/encode.hpp"
#include "gateway/mqtt/topic_filter.hpp"
#include "gateway/mqtt/utf8.hpp"
#include "gateway/tool/failure.hpp"

#include <fmt/format.h>

#include <charconv>
#include <utility>

namespace milepost::tool {

namespace {

constexpr std::size_t text_bytes_max = 65'535;  // MQTT 1.5.4
constexpr std::string_view key_word = "{key}";
// Of a whole packet the topic, the properties and the payload are counted in 28 bits (MQTT 2.1.4).
constexpr std::size_t body_bytes_max = 268'435'455;
// The one shipped route that leaves no `mqtt.topic`.
constexpr std::pair<std::string_view, std::string_view> shipped = {
    "vehicle.telemetry",
    "vehicles/{key}/telemetry"};

bool is_text(std::string_view text) {
    return text.size() <= text_bytes_max && mqtt::is_utf8(text);
}

std::optional<std::uint32_t> number_of(std::string_view text) {
    std::uint32_t number = 0;
    const auto* end_of_text = text.data() + text.size();
    const auto [end, failed] = std::from_chars(text.data(), end_of_text, number);
    if (failed != std::errc{} || end != end_of_text) return std::nullopt;
    return number;
}

}  // namespace

std::optional<std::pair<std::string, std::string>> parse_topic_template(std::string_view text) {
    const auto equals = text.find('=');
    if (equals == text.npos || equals == 0 || equals + 1 == text.size()) return std::nullopt;
    auto sample = std::string{text.substr(equals + 1)};
    const auto at = sample.find(key_word);
    if (at != sample.npos) sample.replace(at, key_word.size(), "key");
    if (!mqtt::is_topic_name(sample)) return std::nullopt;
    return std::pair{std::string{text.substr(0, equals)}, std::string{text.substr(equals + 1)}};
}

MqttMessages::MqttMessages(mqtt::ProtocolLevel level, TopicTemplates templates)
    : level_(level)
    , templates_(std::move(templates)) {
    templates_.emplace(shipped.first, shipped.second);
}

std::optional<mqtt::Publish> MqttMessages::make(const ReplayRecord& record, std::string& why) {
    mqtt::Publish publish;
    topic_.clear();
    properties_.clear();
    seen_ = 0;
    for (const auto& header : record.headers) {
        if (take_special(header, publish)) continue;
        if (level_ != mqtt::ProtocolLevel::v5 || !take_property(header)) ++left_out_;
    }
    if (topic_.empty()) rebuild_topic(record);
    const auto payload = record.value.value_or(Bytes{});
    const auto refuse = [&](std::string_view what) {
        why = fmt::format(
            "{}-{} at offset {}: {}",
            record.topic,
            record.partition,
            record.offset.value(),
            what
        );
        return std::nullopt;
    };
    if (topic_.size() > text_bytes_max || !mqtt::is_topic_name(topic_)) {
        return refuse("its topic is none of MQTT's");
    }
    const auto bytes = topic_.size() + properties_.size() + payload.size();
    if (bytes > body_bytes_max - 16) return refuse("is too large for MQTT");
    publish.topic = topic_;
    publish.payload = payload;
    publish.properties = properties_;
    return publish;
}

bool MqttMessages::take_special(const storage::HeaderView& header, mqtt::Publish& publish) {
    const auto value = as_text(header.value);
    if (header.name == "mqtt.topic" && topic_.empty()) {
        topic_ = value;
        return true;
    }
    if (header.name == "mqtt.retain") {
        publish.retain = value == "1";
        return true;
    }
    // A will was published by the broker, as any other message.
    return header.name == "mqtt.will";
}

// 5.0. False: it cannot be one.
bool MqttMessages::take_property(const storage::HeaderView& header) {
    using enum mqtt::PropertyId;
    const auto value = as_text(header.value);
    const auto name = header.name;
    if (name == "mqtt.expiry_s" && is_first(message_expiry_interval)) {
        const auto seconds = number_of(value);
        if (seconds) mqtt::append_number_property(properties_, message_expiry_interval, *seconds);
        return seconds.has_value();
    }
    if (name == "mqtt.correlation_data" && is_first(correlation_data)) {
        if (value.size() > text_bytes_max) return false;
        mqtt::append_text_property(properties_, correlation_data, value);
        return true;
    }
    if (!is_text(name) || !is_text(value)) return false;
    if (name == "content-type" && is_first(content_type)) {
        mqtt::append_text_property(properties_, content_type, value);
    } else if (name == "mqtt.response_topic" && is_first(response_topic)) {
        if (!mqtt::is_topic_name(value)) return false;
        mqtt::append_text_property(properties_, response_topic, value);
    } else {
        mqtt::append_user_property(properties_, name, value);
    }
    return true;
}

// Each may be there once; what comes under its name again was a user property of the sensor's.
bool MqttMessages::is_first(mqtt::PropertyId id) {
    const auto bit = std::uint64_t{1} << static_cast<unsigned>(id);
    const bool was_there = (seen_ & bit) != 0;
    seen_ |= bit;
    return !was_there;
}

void MqttMessages::rebuild_topic(const ReplayRecord& record) {
    const auto found = templates_.find(record.topic);
    if (found == templates_.end()) {
        throw Failure{
            exit_usage,
            fmt::format(
                "{}-{} at offset {} does not say which MQTT topic it came by: say it with "
                "--mqtt-topic '{}=...', {{key}} stands for the key",
                record.topic,
                record.partition,
                record.offset.value(),
                record.topic
            )};
    }
    topic_ = found->second;
    const auto at = topic_.find(key_word);
    if (at == topic_.npos) return;
    const auto key = record.key ? as_text(*record.key) : std::string_view{};
    topic_.replace(at, key_word.size(), key);
    // It was a whole level: what holds a `/` or is empty would be another topic.
    if (key.empty() || key.find('/') != key.npos) topic_.clear();
}

}  // namespace milepost::tool
