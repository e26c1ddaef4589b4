#include "gateway/tool/publish_session.hpp"

#include "gateway/mqtt/decode.hpp"
#include "gateway/mqtt/encode.hpp"
#include "gateway/mqtt/frame_reader.hpp"
#include "gateway/tool/publish_refusal.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace milepost::tool {

namespace {

using mqtt::PacketType;
using mqtt::ProtocolLevel;
using mqtt::Qos;
using mqtt::ReasonCode;

// What a broker says to a client that subscribes to nothing is small; more is refused.
constexpr std::size_t answer_bytes_max = 64 * kib;
// The broker keeps what it has of us for so long after the connection is gone.
constexpr std::uint32_t session_expiry_s = 7 * 24 * 3600;
constexpr std::byte dup_bit{0x08};

mqtt::PacketId packet_id_of(std::uint64_t number) {
    return static_cast<mqtt::PacketId>(1 + number % publishes_in_flight_max);
}

}  // namespace

PublishSession::PublishSession(Options options, const PublishProgress& progress)
    : options_(std::move(options))
    , progress_(progress)
    , first_(progress.completed)
    , window_(options_.in_flight_max) {
    for (auto number = progress.completed; number < progress.received; ++number)
        in_flight_.push_back({.packet = {}, .is_received = true});
}

void PublishSession::begin(Buffer& out, bool is_clean) {
    end();
    Buffer properties;
    if (!is_clean) {
        mqtt::append_number_property(
            properties,
            mqtt::PropertyId::session_expiry_interval,
            session_expiry_s
        );
    }
    mqtt::Connect connect;
    connect.client_id = options_.client_id;
    if (!options_.user.empty()) {
        connect.user_name = options_.user;
        connect.password = as_bytes(options_.password);
    }
    connect.properties = properties;
    connect.keep_alive_s = options_.keep_alive_s;
    connect.level = options_.level;
    connect.clean_start = is_clean;
    mqtt::encode_connect(out, connect);
}

void PublishSession::end() {
    is_connected_ = false;
    rest_.clear();
}

std::optional<std::string> PublishSession::receive(Bytes bytes, Buffer& out) {
    append_bytes(rest_, bytes);
    Bytes rest = rest_;
    std::optional<std::string> problem;
    while (!problem) {
        const auto found = mqtt::read_frame(rest, answer_bytes_max);
        if (found.status == mqtt::FrameStatus::need_more) break;
        if (found.status != mqtt::FrameStatus::whole) return "the broker sends no MQTT";
        problem = take(found.frame, out);
        rest = rest.subspan(found.bytes);
    }
    rest_.erase(rest_.begin(), rest_.end() - static_cast<std::ptrdiff_t>(rest.size()));
    move_up(out);
    send_due(out);
    return problem;
}

std::optional<std::string> PublishSession::take(const mqtt::Frame& frame, Buffer& out) {
    const auto type = frame.type();
    const bool is_ack = type == PacketType::puback || type == PacketType::pubrec ||
                        type == PacketType::pubcomp;
    if (type == PacketType::connack) return take_connack(frame, out);
    if (type == PacketType::disconnect) return take_disconnect(frame);
    if (is_ack && is_connected_) return take_ack(frame, out);
    if (type == PacketType::pingresp && is_connected_) return std::nullopt;
    return "the broker sends a packet that it must not send";
}

std::optional<std::string> PublishSession::take_connack(const mqtt::Frame& frame, Buffer& out) {
    mqtt::Connack connack;
    const bool is_short = frame.body.size() == 2 && options_.level == ProtocolLevel::v5;
    const auto level = is_short ? ProtocolLevel::v3_1_1 : options_.level;
    const auto wrong = mqtt::decode_connack(frame, level, connack);
    if (is_connected_ || wrong != mqtt::Errc::none) return "the broker's CONNACK is wrong";
    if (is_short || connack.reason != ReasonCode::success) {
        is_hopeless_ = !is_refusal_momentary(level, connack.reason);
        return "the broker refuses the connection: " + connect_refusal(level, connack.reason);
    }
    limits_ = {};
    window_ = options_.in_flight_max;
    if (auto problem = take_limits(connack.properties)) {
        is_hopeless_ = true;
        return problem;
    }
    is_connected_ = true;
    is_session_kept_ = connack.session_present;
    return go_on(out);
}

std::optional<std::string> PublishSession::take_limits(Bytes properties) {
    mqtt::PropertyReader reader{properties};
    while (const auto property = reader.next()) {
        using enum mqtt::PropertyId;
        if (property->id == receive_maximum) {
            if (property->number == 0) return "the broker's CONNACK is wrong";
            window_ = std::min<std::size_t>(window_, property->number);
        } else if (property->id == maximum_packet_size) {
            limits_.packet_bytes_max = property->number;
        } else if (property->id == server_keep_alive) {
            limits_.keep_alive_s = static_cast<std::uint16_t>(property->number);
        } else if (property->id == retain_available) {
            limits_.is_retain_served = property->number != 0;
        } else if (property->id == maximum_qos && property->number < unsigned(options_.qos)) {
            return fmt::format("the broker takes QoS {} at most", property->number);
        }
    }
    if (reader.error() != mqtt::Errc::none) return "the broker's CONNACK is wrong";
    return std::nullopt;
}

// After CONNACK.
std::optional<std::string> PublishSession::go_on(Buffer& out) {
    again_end_ = progress_.handed;
    if (!is_session_kept_ && !forget_receipts()) {
        is_hopeless_ = true;
        return "the broker has lost the session; start again";
    }
    for (auto number = first_; number < progress_.received; ++number) {
        auto& received = entry(number);
        if (received.is_completed) continue;
        send_release(number, out);
        received.is_released = true;
    }
    sent_ = progress_.received;
    return std::nullopt;
}

// The broker knows nothing of us: what it had received and not confirmed may be lost there, so it
// is to be sent once more. False: it cannot, it was put by a run before this one.
bool PublishSession::forget_receipts() {
    if (!has_put_) in_flight_.clear();  // they are put now
    for (auto& entry : in_flight_) {
        if (entry.is_completed) continue;
        if (entry.packet.empty()) return false;
        entry.is_received = entry.is_released = false;
    }
    progress_.received = first_;
    return true;
}

std::optional<std::string> PublishSession::take_ack(const mqtt::Frame& frame, Buffer& out) {
    mqtt::Ack ack;
    if (mqtt::decode_ack(frame, options_.level, ack) != mqtt::Errc::none) {
        return "the broker sends an acknowledgement that is none";
    }
    const auto type = frame.type();
    const bool is_expected = (type == PacketType::puback) == (options_.qos == Qos::at_least_once);
    if (!is_expected) return "the broker sends an acknowledgement of another QoS";
    auto* const found = find(ack.packet_id);
    // Not in flight here: of a run before this one, which is sent again, or a repeat.
    if (found == nullptr || found->is_completed) return std::nullopt;
    if (type == PacketType::pubcomp) {
        if (!found->is_released) return "the broker sends PUBCOMP without PUBREL";
        found->is_completed = true;
        return std::nullopt;
    }
    if (mqtt::is_failure(ack.reason)) {
        complete_refused(*found, refusal_text(found->packet, options_.level, ack.reason));
    } else if (type == PacketType::puback) {
        found->is_completed = true;
    } else if (found->is_released) {
        mqtt::encode_ack(out, options_.level, PacketType::pubrel, {ack.packet_id});
    }
    found->is_received = true;
    return std::nullopt;
}

std::optional<std::string> PublishSession::take_disconnect(const mqtt::Frame& frame) {
    if (options_.level != ProtocolLevel::v5) return "the broker sends DISCONNECT";
    const auto reason = frame.body.empty() ? ReasonCode::success
                                           : static_cast<ReasonCode>(frame.body.front());
    is_hopeless_ = reason == ReasonCode::session_taken_over ||
                   reason == ReasonCode::not_authorized || reason == ReasonCode::banned;
    return "the broker ends the connection: " + reason_text(reason);
}

bool PublishSession::has_room() const {
    return in_flight_.size() < options_.in_flight_max &&
           in_flight_bytes_ < options_.in_flight_bytes_max;
}

void PublishSession::put(const mqtt::Publish& publish, Buffer& out) {
    has_put_ = true;
    auto ours = publish;
    ours.ticket.packet_id = packet_id_of(next());
    ours.qos = options_.qos;
    ours.dup = false;
    auto& entry = in_flight_.emplace_back();
    mqtt::encode_publish(entry.packet, options_.level, ours);
    in_flight_bytes_ += entry.packet.size();
    send_due(out);
}

void PublishSession::refuse(const std::string& why, Buffer& out) {
    has_put_ = true;
    complete_refused(in_flight_.emplace_back(), why);
    send_due(out);
}

void PublishSession::send_due(Buffer& out) {
    if (!is_connected_) return;
    while (sent_ < next() && sent_ - first_ < window_) {
        auto& due = entry(sent_);
        if (!due.is_completed && due.packet.size() > limits_.packet_bytes_max) {
            const auto reason = ReasonCode::packet_too_large;
            complete_refused(due, refusal_text(due.packet, options_.level, reason));
        }
        const auto number = sent_++;
        progress_.handed = std::max(progress_.handed, sent_);
        if (due.is_completed) continue;
        const auto at = out.size();
        append_bytes(out, due.packet);
        if (number >= again_end_) continue;
        if (is_session_kept_) out[at] |= dup_bit;
        if (!is_session_kept_ || options_.qos == Qos::at_least_once) ++progress_.again;
    }
    move_up(out);
}

void PublishSession::send_release(std::uint64_t number, Buffer& out) const {
    mqtt::encode_ack(out, options_.level, PacketType::pubrel, {packet_id_of(number)});
}

// Over what is received, and over what is completed.
void PublishSession::move_up(Buffer& out) {
    while (progress_.received < sent_ && entry(progress_.received).is_received) {
        auto& received = entry(progress_.received);
        if (!received.is_completed) {
            send_release(progress_.received, out);
            received.is_released = true;
        }
        if (std::exchange(received.is_refused, false)) ++progress_.refused;
        ++progress_.received;
    }
    while (first_ < progress_.received && in_flight_.front().is_completed) {
        in_flight_bytes_ -= in_flight_.front().packet.size();
        in_flight_.pop_front();
        progress_.completed = ++first_;
    }
}

void PublishSession::complete_refused(Entry& entry, const std::string& why) {
    entry.is_received = entry.is_completed = entry.is_refused = true;
    if (refusal_.empty()) refusal_ = why;
}

PublishSession::Entry& PublishSession::entry(std::uint64_t number) {
    return in_flight_[number - first_];
}

PublishSession::Entry* PublishSession::find(mqtt::PacketId id) {
    const auto of_first = packet_id_of(first_);
    const auto index = id >= of_first ? id - of_first
                                      : id + static_cast<int>(publishes_in_flight_max) - of_first;
    const auto number = first_ + static_cast<std::uint64_t>(index);
    return number < sent_ ? &entry(number) : nullptr;
}

void PublishSession::ping(Buffer& out) const {
    mqtt::encode_pingreq(out);
}

void PublishSession::leave(Buffer& out, bool is_over) {
    mqtt::Disconnect disconnect;
    if (is_over) disconnect.session_expiry_s = 0;
    mqtt::encode_disconnect(out, options_.level, disconnect);
}

}  // namespace milepost::tool
