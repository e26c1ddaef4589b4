#include "gateway/ingest/intake.hpp"

#include "gateway/ingest/partitioner.hpp"
#include "gateway/mqtt/properties.hpp"
#include "storage/log/errc.hpp"

#include <charconv>
#include <utility>

namespace milepost::ingest {

namespace {

// What only the gateway says of a record; a sensor cannot.
bool is_own_header(std::string_view name) {
    return name.starts_with("mp.") || name.starts_with("mqtt.");
}

bool is_momentary(ErrorCode error) {
    return error == storage::LogErrc::group_full || error == storage::LogErrc::intake_closed;
}

}  // namespace

Intake::Intake(storage::Appender& log, std::vector<BoundRoute> routes, Limits limits)
    : log_(&log)
    , routes_(std::move(routes))
    , limits_(limits) {}

mqtt::Taken Intake::publish(
    const mqtt::Publish& publish,
    std::string_view client_id,
    AckToken token,
    Bytes session_change,
    std::string_view session_key
) {
    const bool wants_ack = publish.qos != mqtt::Qos::at_most_once;
    const std::optional<AckToken> ack = wants_ack ? std::optional{token} : std::nullopt;
    Counter& received = this->received(publish.qos);

    const bool overloaded = log_->intake() != storage::IntakeState::open ||
                            log_->open_group_bytes() > limits_.group_bytes_max / 2;
    if (!wants_ack && overloaded) {
        received.add();
        stats_.rejected_qos0_overload.add();
        return mqtt::Taken::refused;
    }
    const Message message{
        client_id,
        publish.topic,
        publish.payload,
        publish.properties,
        publish.retain,
        /*is_will=*/false,
        session_change,
        session_key};
    const auto found = place(publish.topic, client_id);
    if (!found) {
        received.add();
        stats_.rejected_no_route.add();
        refuse(mqtt::ReasonCode::topic_name_invalid, ack);
        return mqtt::Taken::refused;
    }
    const ErrorCode error = append(message, *found, ack);
    if (is_momentary(error)) {
        if (wants_ack) return mqtt::Taken::later;
        received.add();
        stats_.rejected_qos0_overload.add();
        return mqtt::Taken::refused;
    }
    received.add();
    if (error) {
        stats_.rejected_too_large.add();
        refuse(mqtt::ReasonCode::implementation_specific_error, ack);
        return mqtt::Taken::refused;
    }
    stats_.accepted.add();
    return mqtt::Taken::yes;
}

void Intake::duplicate(const mqtt::Publish& publish, AckToken token) {
    received(publish.qos).add();
    stats_.rejected_duplicate.add();
    log_->append_token(token);
}

void Intake::forbidden(const mqtt::Publish& publish, AckToken token) {
    received(publish.qos).add();
    stats_.rejected_acl.add();
    const bool wants_ack = publish.qos != mqtt::Qos::at_most_once;
    refuse(mqtt::ReasonCode::not_authorized, wants_ack ? std::optional{token} : std::nullopt);
}

void Intake::forbidden_will() {
    stats_.received_wills.add();
    stats_.rejected_acl.add();
}

Counter& Intake::received(mqtt::Qos qos) {
    switch (qos) {
        case mqtt::Qos::at_most_once: return stats_.received_qos0;
        case mqtt::Qos::at_least_once: return stats_.received_qos1;
        case mqtt::Qos::exactly_once: break;
    }
    return stats_.received_qos2;
}

mqtt::Taken Intake::will(const Message& message) {
    const auto found = place(message.topic, message.client_id);
    if (!found) {
        stats_.received_wills.add();
        stats_.rejected_no_route.add();
        return mqtt::Taken::refused;
    }
    const ErrorCode error = append(message, *found, std::nullopt);
    if (is_momentary(error)) return mqtt::Taken::later;
    stats_.received_wills.add();
    (error ? stats_.rejected_too_large : stats_.accepted).add();
    return error ? mqtt::Taken::refused : mqtt::Taken::yes;
}

std::optional<Intake::Place> Intake::place(std::string_view topic, std::string_view client_id) {
    if (topic.size() > limits_.topic_bytes_max) return std::nullopt;
    for (const BoundRoute& bound : routes_) {
        if (!bound.route.match(topic, captures_)) continue;
        return Place{
            &bound,
            bound.route.key(captures_, client_id, key_),
            bound.route.rebuilds_topic(captures_)};
    }
    return std::nullopt;
}

ErrorCode Intake::append(
    const Message& message,
    const Place& place,
    std::optional<AckToken> token
) {
    collect_headers(message, place);
    const Bytes key = as_bytes(place.key);
    const auto& partitions = place.route->partitions;
    const auto number = partition_for(key, static_cast<std::int32_t>(partitions.size()));
    const storage::RecordView record{now_, key, message.payload, headers_};
    const auto appended = log_->append(
        partitions[static_cast<std::size_t>(number)],
        record,
        token,
        {message.session_key.empty() ? message.client_id : message.session_key,
         message.session_change}
    );
    return appended ? ErrorCode{} : appended.error();
}

void Intake::collect_headers(const Message& message, const Place& place) {
    static constexpr std::string_view yes = "1";
    headers_.clear();
    if (!place.rebuilds_topic) headers_.push_back({"mqtt.topic", as_bytes(message.topic)});
    if (message.retain) headers_.push_back({"mqtt.retain", as_bytes(yes)});
    if (message.is_will) headers_.push_back({"mqtt.will", as_bytes(yes)});
    if (!clock_synced_) headers_.push_back({"mp.clock", as_bytes("unsynced")});
    if (!message.properties.empty()) collect_property_headers(message.properties);
}

void Intake::collect_property_headers(Bytes properties) {
    mqtt::PropertyReader reader{properties};
    while (const auto property = reader.next()) {
        using enum mqtt::PropertyId;
        if (property->id == content_type) {
            headers_.push_back({"content-type", as_bytes(property->value)});
        } else if (property->id == response_topic) {
            headers_.push_back({"mqtt.response_topic", as_bytes(property->value)});
        } else if (property->id == correlation_data) {
            headers_.push_back({"mqtt.correlation_data", as_bytes(property->value)});
        } else if (property->id == message_expiry_interval) {
            headers_.push_back({"mqtt.expiry_s", as_bytes(expiry_text(property->number))});
        } else if (property->id == user_property) {
            if (is_own_header(property->name)) {
                stats_.dropped_user_properties.add();
            } else {
                headers_.push_back({property->name, as_bytes(property->value)});
            }
        }
    }
}

std::string_view Intake::expiry_text(std::uint32_t seconds) {
    char* const begin = expiry_digits_.data();
    const auto end = std::to_chars(begin, begin + expiry_digits_.size(), seconds).ptr;
    return {begin, static_cast<std::size_t>(end - begin)};
}

void Intake::refuse(mqtt::ReasonCode reason, std::optional<AckToken> token) {
    if (!token) return;
    token->reason = static_cast<std::uint8_t>(reason);
    log_->append_token(*token);
}

}  // namespace milepost::ingest
