#include "gateway/broker/message.hpp"

#include "gateway/mqtt/encode.hpp"
#include "gateway/mqtt/properties.hpp"

#include <algorithm>

namespace milepost::broker {

namespace {

// Never a change of a session's state begins with it (listener/session_state).
constexpr std::byte message_tag{0x40};
constexpr unsigned qos_bits = 0x03;
constexpr unsigned retain_bit = 0x04;
constexpr unsigned expiry_bit = 0x08;
constexpr std::size_t head_bytes = 1 + 1 + 8 + 4 + 4 + 4;

template <std::integral T>
void add(Buffer& out, T value) {
    const std::size_t at = out.size();
    out.resize(at + sizeof value);
    store_little(out.data() + at, value);
}

// The property as it came; the reader gives values only, and everything but numbers is a string.
void append_property(Buffer& out, const mqtt::Property& property) {
    using enum mqtt::PropertyId;
    if (property.id == user_property) {
        mqtt::append_user_property(out, property.name, property.value);
    } else if (property.id == payload_format_indicator) {
        mqtt::append_number_property(out, property.id, property.number);
    } else {
        mqtt::append_text_property(out, property.id, property.value);
    }
}

}  // namespace

MessagePtr make_message(const mqtt::Publish& publish, Timestamp now) {
    auto message = std::make_shared<Message>();
    message->topic = publish.topic;
    message->payload.assign(publish.payload.begin(), publish.payload.end());
    message->received = now;
    message->qos = publish.qos;
    message->retain = publish.retain;
    mqtt::PropertyReader reader{publish.properties};
    while (const auto property = reader.next()) {
        using enum mqtt::PropertyId;
        if (property->id == message_expiry_interval) {
            message->expiry_s = property->number;
        } else if (property->id != topic_alias && property->id != will_delay_interval) {
            append_property(message->properties, *property);
        }
    }
    return message;
}

std::uint32_t rest_of_expiry_s(const Message& message, Timestamp now) {
    const std::int64_t waited_s = std::max<std::int64_t>(0, (now - message.received) / 1000);
    const std::int64_t rest_s = std::int64_t{message.expiry_s.value_or(0)} - waited_s;
    return static_cast<std::uint32_t>(std::max<std::int64_t>(1, rest_s));
}

Buffer encode_message(const Message& message) {
    Buffer out;
    out.reserve(
        head_bytes + message.topic.size() + message.properties.size() + message.payload.size()
    );
    out.push_back(message_tag);
    out.push_back(static_cast<std::byte>(
        static_cast<unsigned>(message.qos) | (message.retain ? retain_bit : 0U) |
        (message.expiry_s ? expiry_bit : 0U)
    ));
    add(out, message.received.value());
    add(out, message.expiry_s.value_or(0));
    add(out, static_cast<std::uint32_t>(message.topic.size()));
    add(out, static_cast<std::uint32_t>(message.properties.size()));
    append_bytes(out, as_bytes(message.topic));
    append_bytes(out, message.properties);
    append_bytes(out, message.payload);
    return out;
}

MessagePtr decode_message(Bytes bytes) {
    if (bytes.size() < head_bytes || !is_message(bytes)) return nullptr;
    const auto flags = std::to_integer<unsigned>(bytes[1]);
    const unsigned qos = flags & qos_bits;
    const std::size_t topic_bytes = load_little<std::uint32_t>(bytes.data() + 14);
    const std::size_t properties_bytes = load_little<std::uint32_t>(bytes.data() + 18);
    Bytes rest = bytes.subspan(head_bytes);
    if (qos == 3 || topic_bytes > rest.size() || properties_bytes > rest.size() - topic_bytes) {
        return nullptr;
    }
    auto message = std::make_shared<Message>();
    message->qos = static_cast<mqtt::Qos>(qos);
    message->retain = (flags & retain_bit) != 0;
    message->received = Timestamp{load_little<std::int64_t>(bytes.data() + 2)};
    if ((flags & expiry_bit) != 0) {
        message->expiry_s = load_little<std::uint32_t>(bytes.data() + 10);
    }
    message->topic = as_text(rest.first(topic_bytes));
    rest = rest.subspan(topic_bytes);
    message->properties.assign(
        rest.begin(),
        rest.begin() + static_cast<std::ptrdiff_t>(properties_bytes)
    );
    rest = rest.subspan(properties_bytes);
    message->payload.assign(rest.begin(), rest.end());
    return message;
}

bool is_message(Bytes bytes) {
    return !bytes.empty() && bytes.front() == message_tag;
}

}  // namespace milepost::broker
