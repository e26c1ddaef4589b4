#include "gateway/mqtt/session.hpp"

#include <algorithm>

namespace milepost::mqtt {
namespace {

// 3.1.1: a device may leave its name to us only if nothing is kept of it (MQTT-3.1.3-7, -8).
Errc check_connect(const Connect& connect, const Limits& limits) {
    const bool is_name_missing = connect.client_id.empty() &&
                                 connect.level == ProtocolLevel::v3_1_1 && !connect.clean_start;
    const bool is_refused = is_name_missing ||
                            connect.client_id.size() > limits.client_id_bytes_max;
    return is_refused ? Errc::client_id_refused : Errc::none;
}

}  // namespace

void Session::accept(const Acceptance& acceptance, Buffer& out) {
    if (state_ != State::awaits_answer) return;
    const std::size_t from = out.size();
    Connack connack{ReasonCode::success, acceptance.session_present, {}};
    Buffer properties;
    if (level_ == ProtocolLevel::v5) {
        using enum PropertyId;
        const auto append = [&properties](PropertyId id, std::uint32_t value) {
            append_number_property(properties, id, value);
        };
        if (acceptance.session_expiry_s) {
            append(session_expiry_interval, *acceptance.session_expiry_s);
        }
        append(receive_maximum, limits_->in_flight_publishes_max);
        append(maximum_packet_size, static_cast<std::uint32_t>(limits_->packet_bytes_max));
        if (limits_->topic_alias_max != 0) append(topic_alias_maximum, limits_->topic_alias_max);
        if (!acceptance.assigned_client_id.empty()) {
            append_text_property(
                properties,
                assigned_client_identifier,
                acceptance.assigned_client_id
            );
        }
        append(shared_subscription_available, 0);
        if (is_keep_alive_limited_) append(server_keep_alive, keep_alive_s_);
        connack.properties = properties;
    }
    encode_connack(out, level_, connack);
    if (!fits(out, from)) return;
    state_ = State::connected;
    was_accepted_ = true;
}

void Session::refuse(ReasonCode reason, Buffer& out) {
    if (state_ != State::awaits_answer) return;
    const std::size_t from = out.size();
    encode_connack(out, level_, {reason, /*session_present=*/false, {}});
    if (fits(out, from)) close(Errc::refused_by_owner);
}

void Session::publish_done(Ticket ticket, ReasonCode reason, Buffer& out) {
    const std::size_t from = out.size();
    out.resize(from + answer_bytes_max);
    out.resize(from + publish_done(ticket, reason, out.data() + from));
}

void Session::subscribe_done(Ticket ticket, std::span<const ReasonCode> codes, Buffer& out) {
    if (state_ != State::connected) return;
    --in_flight_;
    in_flight_weight_ -= ticket.weight;
    const std::size_t from = out.size();
    if (ticket.answer == PacketType::suback) {
        encode_suback(out, level_, ticket.packet_id, codes);
    } else {
        encode_unsuback(out, level_, ticket.packet_id, codes);
    }
    static_cast<void>(fits(out, from));
}

bool Session::publish(const Publish& publish, Buffer& out) {
    if (state_ != State::connected) return false;
    const std::size_t from = out.size();
    encode_publish(out, level_, publish);
    if (out.size() - from <= client_packet_bytes_max_) return true;
    out.resize(from);
    return false;
}

void Session::release(Ack release, Buffer& out) {
    if (state_ == State::connected) encode_ack(out, level_, PacketType::pubrel, release);
}

void Session::disconnect(ReasonCode reason, Buffer& out) {
    // Few of DISCONNECT's reasons are CONNACK's too (MQTT-3.2.2-8); this one always fits.
    if (state_ == State::awaits_answer) return refuse(ReasonCode::server_unavailable, out);
    if (state_ == State::connected && level_ == ProtocolLevel::v5) {
        encode_disconnect(out, level_, {reason, {}});
    }
    if (state_ != State::closed) close(Errc::closed_by_owner);
}

bool Session::take_connect(const Frame& frame, Connect& connect, Buffer& out) {
    if (state_ == State::connected) {
        fail(Errc::second_connect, out);  // MQTT-3.1.0-2
        return false;
    }
    Errc why = decode_connect(frame, connect);
    level_ = connect.level;
    client_packet_bytes_max_ = connect.packet_bytes_max;
    if (why == Errc::none) why = check_connect(connect, *limits_);
    if (why != Errc::none) {
        refuse_connect(why, out);
        return false;
    }
    keep_alive_s_ = connect.keep_alive_s;
    const bool is_too_long = keep_alive_s_ == 0 || keep_alive_s_ > limits_->keep_alive_s_max;
    if (level_ == ProtocolLevel::v5 && limits_->keep_alive_s_max != 0xFFFF && is_too_long) {
        keep_alive_s_ = limits_->keep_alive_s_max;
        is_keep_alive_limited_ = true;
    }
    has_session_expiry_ = connect.session_expiry_s != 0;
    state_ = State::awaits_answer;
    return true;
}

bool Session::take_disconnect(const Frame& frame, Disconnect& leaving, Buffer& out) {
    Errc why = decode_disconnect(frame, level_, leaving);
    const bool is_raised = !has_session_expiry_ && leaving.session_expiry_s.value_or(0) != 0;
    if (why == Errc::none && is_raised) why = Errc::session_expiry_raised;
    if (why != Errc::none) {
        fail(why, out);
        return false;
    }
    is_will_taken_back_ = leaving.reason == ReasonCode::success;
    close(Errc::client_disconnected);
    return true;
}

// The alias stands for the topic that comes with it, or the publish has the topic that it stands
// for (MQTT-3.3.2-7 to -12).
Errc Session::resolve_alias(Publish& publish) {
    if (!aliases_) {
        aliases_ = std::make_unique<TopicAliases>(
            limits_->topic_alias_max,
            limits_->topic_alias_bytes_max
        );
    }
    return publish.topic.empty() ? aliases_->find(publish.topic_alias, publish.topic)
                                 : aliases_->set(publish.topic_alias, publish.topic);
}

// PINGREQ, or what a device does not send.
void Session::take_rest(const Frame& frame, Buffer& out) {
    const PacketType type = frame.type();
    if (type == PacketType::pingreq) {
        const Errc why = decode_pingreq(frame);
        return why == Errc::none ? encode_pingresp(out) : fail(why, out);
    }
    const bool is_auth_in_3_1_1 = type == PacketType::auth && level_ == ProtocolLevel::v3_1_1;
    const bool is_reserved = type == PacketType{0} || is_auth_in_3_1_1;
    fail(is_reserved ? Errc::reserved_type : Errc::unexpected_packet, out);
}

// A CONNECT that is not taken: 5.0 says why; 3.1.1 only what its return codes can say, else nothing
// (3.1.1: MQTT-3.1.4-1; a wrong protocol name is no MQTT at all, MQTT-3.1.2-1).
void Session::refuse_connect(Errc why, Buffer& out) {
    const std::size_t from = out.size();
    const bool has_return_code = why == Errc::unsupported_protocol_level ||
                                 why == Errc::client_id_refused;
    const bool is_mqtt = why != Errc::unknown_protocol_name;
    if (is_mqtt && (level_ == ProtocolLevel::v5 || has_return_code)) {
        encode_connack(out, level_, {reason_of(why), /*session_present=*/false, {}});
        if (!fits(out, from)) return;
    }
    close(why);
}

void Session::fail(Errc why, Buffer& out) {
    if (state_ == State::connected && level_ == ProtocolLevel::v5) {
        encode_disconnect(out, level_, {reason_of(why), {}});
    }
    close(why);
}

void Session::close(Errc why) {
    state_ = State::closed;
    closed_because_ = why;
}

// Takes the answer back and closes if the device has said that it cannot take one so large
// (MQTT-3.1.2-24 in 5.0).
bool Session::fits(Buffer& out, std::size_t from) {
    if (out.size() - from <= client_packet_bytes_max_) return true;
    out.resize(from);
    close(Errc::reply_too_large);
    return false;
}

}  // namespace milepost::mqtt
