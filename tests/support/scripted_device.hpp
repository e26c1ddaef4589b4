#pragma once

#include "gateway/mqtt/session.hpp"
#include "gateway/mqtt/topic_filter.hpp"
#include "storage/base/bytes.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <cstddef>
#include <initializer_list>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

// A device and the owner of its session, scripted: bytes in, bytes out, no socket.
namespace milepost {

// Packets one behind the other.
[[nodiscard]] inline Buffer operator+(Buffer left, Bytes right) {
    append_bytes(left, right);
    return left;
}

}  // namespace milepost

namespace milepost::test {

[[nodiscard]] inline Buffer raw(std::initializer_list<unsigned> values) {
    Buffer bytes;
    for (const unsigned value : values) {
        bytes.push_back(static_cast<std::byte>(value));
    }
    return bytes;
}

[[nodiscard]] inline std::string hex(Bytes bytes) {
    constexpr std::string_view digits = "0123456789abcdef";
    std::string text;
    for (const std::byte byte : bytes) {
        const auto value = std::to_integer<std::size_t>(byte);
        text += digits[value >> 4U];
        text += digits[value & 15U];
        text += ' ';
    }
    return text;
}

// One session with a recording owner. Bytes are fed in chunks of `chunk_bytes`, as a socket might
// hand them over; what the session does not consume is kept and given again.
class ScriptedDevice {
public:
    explicit ScriptedDevice(mqtt::Limits limits = {}, std::size_t chunk_bytes = 0xFFFFFFFF)
        : limits_(limits)
        , chunk_bytes_(chunk_bytes) {}

    ScriptedDevice(const ScriptedDevice&) = delete;
    ScriptedDevice(ScriptedDevice&&) = delete;
    ScriptedDevice& operator=(const ScriptedDevice&) = delete;
    ScriptedDevice& operator=(ScriptedDevice&&) = delete;
    ~ScriptedDevice() = default;

    void sends(Bytes bytes) {
        while (!bytes.empty()) {
            const std::size_t count = std::min(chunk_bytes_, bytes.size());
            append_bytes(input_, bytes.first(count));
            bytes = bytes.subspan(count);
            receives();
        }
    }

    void is_accepted(const mqtt::Acceptance& acceptance = {}) {
        session_.accept(acceptance, out_);
        receives();
    }

    void is_refused(mqtt::ReasonCode reason) { session_.refuse(reason, out_); }

    // The group is on the disk: every publish that waits is acknowledged, in order.
    void is_synced(mqtt::ReasonCode reason = mqtt::ReasonCode::success) {
        const std::vector<mqtt::Ticket> tickets = std::move(tickets_);
        tickets_.clear();
        for (const mqtt::Ticket ticket : tickets) {
            if (ticket.answer == mqtt::PacketType::suback ||
                ticket.answer == mqtt::PacketType::unsuback) {
                session_.subscribe_done(ticket, codes_.at(ticket.packet_id), out_);
            } else {
                session_.publish_done(ticket, reason, out_);
            }
        }
        receives();
    }

    void is_disconnected(mqtt::ReasonCode reason) { session_.disconnect(reason, out_); }

    // The owner has no room (or has room again) for publishes.
    void has_room(bool room) {
        has_room_ = room;
        if (room) receives();
    }

    [[nodiscard]] Buffer take_out() { return std::exchange(out_, {}); }

    [[nodiscard]] const Buffer& out() const { return out_; }

    // Where the owner's own words to the device go.
    [[nodiscard]] Buffer& out_buffer() { return out_; }

    [[nodiscard]] const std::vector<std::string>& events() const { return events_; }

    [[nodiscard]] const std::vector<mqtt::Ticket>& tickets() const { return tickets_; }

    [[nodiscard]] const mqtt::Session& session() const { return session_; }

    [[nodiscard]] mqtt::Session& session() { return session_; }

    [[nodiscard]] mqtt::Awaits awaits() const { return last_.awaits; }

    [[nodiscard]] std::size_t unconsumed_bytes() const { return input_.size(); }

    // The sink.
    void on_connect(const mqtt::Connect& connect) {
        std::string event = "connect " + std::string{connect.client_id};
        if (connect.will) event += " will " + std::string{connect.will->topic};
        events_.push_back(event);
    }

    mqtt::Taken on_publish(const mqtt::Publish& publish) {
        if (!has_room_) return mqtt::Taken::later;
        events_.push_back(
            "publish " + std::string{publish.topic} + " " + std::string{as_text(publish.payload)} +
            " qos " + std::to_string(static_cast<int>(publish.qos)) + " id " +
            std::to_string(publish.ticket.packet_id) + (publish.retain ? " retain" : "") +
            (publish.dup ? " dup" : "")
        );
        if (publish.ticket.packet_id != 0) tickets_.push_back(publish.ticket);
        return mqtt::Taken::yes;
    }

    mqtt::Taken on_release(mqtt::Ticket release) {
        if (!has_room_) return mqtt::Taken::later;
        events_.push_back("release " + std::to_string(release.packet_id));
        tickets_.push_back(release);
        return mqtt::Taken::yes;
    }

    // Grants what is asked for, but for shared subscriptions.
    mqtt::Taken on_subscribe(const mqtt::Subscribe& subscribe) {
        if (!has_room_) return mqtt::Taken::later;
        std::string event = "subscribe";
        auto& codes = codes_[subscribe.packet_id];
        codes.clear();
        for (Bytes rest = subscribe.filters; !rest.empty();) {
            const auto wanted = mqtt::take_subscription(rest);
            event += " " + std::string{wanted.filter};
            codes.push_back(
                mqtt::is_shared(wanted.filter)
                    ? mqtt::ReasonCode::shared_subscriptions_not_supported
                    : static_cast<mqtt::ReasonCode>(wanted.qos)
            );
        }
        events_.push_back(event);
        tickets_.push_back(subscribe.ticket);
        return mqtt::Taken::yes;
    }

    mqtt::Taken on_unsubscribe(const mqtt::Subscribe& unsubscribe) {
        if (!has_room_) return mqtt::Taken::later;
        std::string event = "unsubscribe";
        auto& codes = codes_[unsubscribe.packet_id];
        codes.assign(unsubscribe.filter_count, mqtt::ReasonCode::no_subscription_existed);
        for (Bytes rest = unsubscribe.filters; !rest.empty();) {
            event += " " + std::string{mqtt::take_filter(rest)};
        }
        events_.push_back(event);
        tickets_.push_back(unsubscribe.ticket);
        return mqtt::Taken::yes;
    }

    void on_ack(mqtt::PacketType type, mqtt::Ack ack) {
        events_.push_back(
            "ack " + std::to_string(static_cast<int>(type)) + " id " +
            std::to_string(ack.packet_id) + " reason " +
            std::to_string(static_cast<int>(ack.reason))
        );
    }

    void on_disconnect(const mqtt::Disconnect& leaving) {
        events_.push_back("disconnect " + std::to_string(static_cast<int>(leaving.reason)));
    }

private:
    void receives() {
        const std::size_t out_before = out_.size();
        last_ = session_.receive(input_, *this, out_);
        constexpr std::size_t one_answer_more =
            64;  // a CONNACK is not there yet, a DISCONNECT may be
        CHECK(out_.size() - out_before <= last_.consumed + one_answer_more);
        input_.erase(input_.begin(), input_.begin() + static_cast<std::ptrdiff_t>(last_.consumed));
    }

    mqtt::Limits limits_;
    std::size_t chunk_bytes_;
    mqtt::Session session_{limits_};
    mqtt::Received last_;
    Buffer input_;
    Buffer out_;
    std::vector<std::string> events_;
    std::vector<mqtt::Ticket> tickets_;
    std::map<mqtt::PacketId, std::vector<mqtt::ReasonCode>> codes_;  // of SUBACKs that wait
    bool has_room_ = true;
};

}  // namespace milepost::test
