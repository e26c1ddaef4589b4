#include "firmware-sim/mqtt_wire.hpp"

#include "storage/base/check.hpp"

#include <algorithm>

namespace milepost::fleet::wire {

namespace {

// MQTT 5.0, 2.2.2.2.
constexpr std::uint8_t property_session_expiry = 0x11;
constexpr std::uint8_t property_server_keep_alive = 0x13;
constexpr std::uint8_t property_receive_max = 0x21;
constexpr std::uint8_t property_packet_max = 0x27;

void append_16(std::size_t value, std::string& out) {
    out += static_cast<char>((value >> 8U) & 0xffU);
    out += static_cast<char>(value & 0xffU);
}

void append_32(std::uint32_t value, std::string& out) {
    append_16(value >> 16U, out);
    append_16(value & 0xffffU, out);
}

void append_text(std::string_view text, std::string& out) {
    MILEPOST_CHECK(text.size() <= 0xffff);
    append_16(text.size(), out);
    out += text;
}

// MQTT 1.5.5: seven bits a byte, the lowest first.
void append_length(std::size_t length, std::string& out) {
    do {
        const auto low = static_cast<unsigned>(length & 0x7fU);
        length >>= 7U;
        out += static_cast<char>(length > 0 ? low | 0x80U : low);
    } while (length > 0);
}

// Reads on from the front; beyond the end everything is 0 and is_short() is true.
class Reader {
public:
    explicit Reader(std::string_view bytes)
        : bytes_(bytes) {}

    [[nodiscard]] bool is_short() const { return is_short_; }

    [[nodiscard]] bool is_empty() const { return bytes_.empty(); }

    [[nodiscard]] std::size_t left() const { return bytes_.size(); }

    std::uint32_t number(std::size_t width) {
        std::uint32_t value = 0;
        for (const char byte : take(width))
            value = (value << 8U) | static_cast<std::uint8_t>(byte);
        return value;
    }

    // MQTT 1.5.5, at most four bytes.
    std::size_t length() {
        std::size_t value = 0;
        for (unsigned shift = 0; shift < 28; shift += 7) {
            const std::uint32_t byte = number(1);
            value |= std::size_t{byte & 0x7fU} << shift;
            if (byte < 0x80U) return value;
        }
        is_short_ = true;
        return 0;
    }

    std::string_view take(std::size_t count) {
        if (count > bytes_.size()) {
            is_short_ = true;
            bytes_ = {};
            return {};
        }
        const std::string_view taken = bytes_.substr(0, count);
        bytes_.remove_prefix(count);
        return taken;
    }

private:
    std::string_view bytes_;
    bool is_short_ = false;
};

// MQTT 5.0, 2.2.2.2: how long the value of a property is that is of no interest here. False for
// one that the standard does not know.
bool skip_property(std::size_t id, Reader& reader) {
    switch (id) {
        case 0x01:
        case 0x17:
        case 0x19:
        case 0x24:
        case 0x25:
        case 0x28:
        case 0x29:
        case 0x2a: reader.number(1); return true;
        case 0x22:
        case 0x23: reader.number(2); return true;
        case 0x02:
        case 0x18: reader.number(4); return true;
        case 0x0b: reader.length(); return true;
        case 0x26:
            reader.take(reader.number(2));
            reader.take(reader.number(2));
            return true;
        case 0x03:
        case 0x08:
        case 0x09:
        case 0x12:
        case 0x15:
        case 0x16:
        case 0x1a:
        case 0x1c:
        case 0x1f: reader.take(reader.number(2)); return true;
        default: return false;
    }
}

bool read_properties(Reader& reader, Answer& answer) {
    Reader properties{reader.take(reader.length())};
    while (!properties.is_empty() && !properties.is_short()) {
        const std::size_t id = properties.length();
        if (id == property_receive_max) {
            answer.receive_max = static_cast<std::uint16_t>(properties.number(2));
            if (answer.receive_max == 0) return false;
        } else if (id == property_server_keep_alive) {
            answer.keep_alive_s = static_cast<std::uint16_t>(properties.number(2));
        } else if (id == property_packet_max) {
            answer.packet_bytes_max = properties.number(4);
        } else if (id == property_session_expiry) {
            properties.number(4);
        } else if (!skip_property(id, properties)) {
            return false;
        }
    }
    return !properties.is_short() && !reader.is_short();
}

std::optional<Answer> read_connack(MqttVersion version, Reader reader) {
    Answer answer{.type = PacketType::connack};
    const std::uint32_t flags = reader.number(1);
    if (flags > 1) return std::nullopt;
    answer.session_present = flags == 1;
    answer.code = static_cast<std::uint8_t>(reader.number(1));
    if (version == MqttVersion::v5 && !read_properties(reader, answer)) return std::nullopt;
    if (reader.is_short()) return std::nullopt;
    return answer;
}

// PUBACK, PUBREC, PUBCOMP and a PUBREL that nobody expects.
std::optional<Answer> read_ack(MqttVersion version, PacketType type, Reader reader) {
    Answer answer{.type = type};
    answer.packet_id = static_cast<std::uint16_t>(reader.number(2));
    if (version == MqttVersion::v5 && !reader.is_empty()) {
        answer.code = static_cast<std::uint8_t>(reader.number(1));
        if (!reader.is_empty() && !read_properties(reader, answer)) return std::nullopt;
    }
    if (reader.is_short() || !reader.is_empty() || answer.packet_id == 0) return std::nullopt;
    return answer;
}

std::optional<Answer> read_body(MqttVersion version, std::uint8_t header, std::string_view body) {
    const auto type = static_cast<PacketType>(header >> 4U);
    const unsigned flags = header & 0x0fU;
    Reader reader{body};
    switch (type) {
        case PacketType::connack: return flags == 0 ? read_connack(version, reader) : std::nullopt;
        case PacketType::puback:
        case PacketType::pubrec:
        case PacketType::pubcomp:
            return flags == 0 ? read_ack(version, type, reader) : std::nullopt;
        case PacketType::pubrel: return std::nullopt;
        case PacketType::pingresp:
            if (flags != 0 || !body.empty()) return std::nullopt;
            return Answer{.type = type};
        case PacketType::disconnect:
            if (flags != 0 || version != MqttVersion::v5) return std::nullopt;
            return Answer{.type = type, .code = static_cast<std::uint8_t>(reader.number(1))};
    }
    return std::nullopt;
}

}  // namespace

void append_connect(const Connect& connect, std::string& out) {
    const bool is_v5 = connect.version == MqttVersion::v5;
    const bool has_user = !connect.user.empty();
    std::string body;
    append_text("MQTT", body);
    body += is_v5 ? '\x05' : '\x04';
    body += static_cast<char>((connect.is_clean ? 2U : 0U) | (has_user ? 0xc0U : 0U));
    append_16(connect.keep_alive_s, body);
    if (is_v5) {
        append_length(5, body);
        body += static_cast<char>(property_session_expiry);
        append_32(connect.session_expiry_s, body);
    }
    append_text(connect.client_id, body);
    if (has_user) {
        append_text(connect.user, body);
        append_text(connect.password, body);
    }
    out += '\x10';
    append_length(body.size(), out);
    out += body;
}

void append_publish(const Publish& publish, std::string& out) {
    const bool is_v5 = publish.version == MqttVersion::v5;
    const auto qos = static_cast<unsigned>(publish.qos);
    out += static_cast<char>(0x30U | (publish.is_dup ? 8U : 0U) | (qos << 1U));
    const std::size_t id_bytes = qos > 0 ? 2 : 0;
    const std::size_t property_bytes = is_v5 ? 1 : 0;
    append_length(
        2 + publish.topic.size() + id_bytes + property_bytes + publish.payload.size(),
        out
    );
    append_text(publish.topic, out);
    if (qos > 0) append_16(publish.packet_id, out);
    if (is_v5) out += '\0';  // no properties
    out += publish.payload;
}

void append_pubrel(std::uint16_t packet_id, std::string& out) {
    out += "\x62\x02";
    append_16(packet_id, out);
}

void append_pingreq(std::string& out) {
    out += std::string_view{"\xc0\0", 2};
}

void append_disconnect(std::string& out) {
    out += std::string_view{"\xe0\0", 2};
}

Parsed parse_answer(MqttVersion version, std::string_view bytes) {
    constexpr std::size_t header_bytes_max = 5;
    if (bytes.size() < 2) return {};
    Reader reader{bytes.substr(1, header_bytes_max - 1)};
    const std::size_t length = reader.length();
    if (reader.is_short()) {
        // Not whole yet, or longer than a length may be.
        return {.is_wrong = bytes.size() >= header_bytes_max};
    }
    if (length > packet_bytes_max) return {.is_wrong = true};
    const std::size_t header = 1 + std::min(bytes.size() - 1, header_bytes_max - 1) - reader.left();
    if (bytes.size() < header + length) return {};
    auto answer =
        read_body(version, static_cast<std::uint8_t>(bytes[0]), bytes.substr(header, length));
    return {.taken = header + length, .answer = answer, .is_wrong = !answer};
}

}  // namespace milepost::fleet::wire
