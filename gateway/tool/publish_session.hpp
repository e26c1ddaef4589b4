#pragma once

#include "gateway/mqtt/frame_reader.hpp"
#include "gateway/mqtt/packet.hpp"
#include "gateway/tool/publish_journal.hpp"
#include "storage/base/bytes.hpp"
#include "storage/base/units.hpp"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>

namespace milepost::tool {

// What a broker answered to CONNECT.
struct BrokerLimits {
    std::size_t packet_bytes_max = 268'435'460;  // what MQTT can say at all
    std::uint16_t keep_alive_s = 0;              // 0: as we asked for
    bool is_retain_served = true;
};

// One MQTT client that publishes the records of a replay, QoS 1 or 2: what is in flight, and what
// follows from each packet of the broker. Pure: bytes for the broker are appended to `out`, and
// before they are sent the owner writes progress() to its journal.
// Record n has packet id 1 + n % 65535, so a program that starts again knows it. PUBREL is sent for
// the records in a row from the first whose PUBREC came, so that one number tells which may
// never be published again. Order: as put, also when sent again.
class PublishSession {
public:
    struct Options {
        mqtt::ProtocolLevel level = mqtt::ProtocolLevel::v5;
        mqtt::Qos qos = mqtt::Qos::exactly_once;
        std::size_t in_flight_max = 256;  // records; 5.0: or the broker's Receive Maximum
        std::size_t in_flight_bytes_max = 8 * mib;
        std::string client_id{};
        std::string user{};  // empty: none
        std::string password{};
        std::uint16_t keep_alive_s = 30;
    };

    // Goes on behind `progress`: records from next() on are to be put again.
    PublishSession(Options options, const PublishProgress& progress);

    // The transport stands: CONNECT. `is_clean`: only to have the broker forget the session.
    void begin(Buffer& out, bool is_clean);

    // Bytes from the broker, cut anywhere. Something is wrong with the connection if it gives a
    // reason: it is to be closed.
    [[nodiscard]] std::optional<std::string> receive(Bytes bytes, Buffer& out);

    // The transport is gone; what is in flight stays.
    void end();

    // The broker's last word is that trying again is of no use.
    [[nodiscard]] bool is_hopeless() const { return is_hopeless_; }

    [[nodiscard]] bool is_connected() const { return is_connected_; }

    // The number of the record that is to be put next.
    [[nodiscard]] std::uint64_t next() const { return first_ + in_flight_.size(); }

    [[nodiscard]] bool has_room() const;

    // Takes the next record; `publish` needs no packet id, QoS nor DUP. What is larger than the
    // broker takes is refused.
    void put(const mqtt::Publish& publish, Buffer& out);
    // The next record cannot be published at all: counted as refused.
    void refuse(const std::string& why, Buffer& out);

    void ping(Buffer& out) const;
    // With 5.0 the broker is told to forget the session, if `is_over`.
    void leave(Buffer& out, bool is_over);

    [[nodiscard]] bool is_idle() const { return in_flight_.empty(); }

    [[nodiscard]] const PublishProgress& progress() const { return progress_; }

    [[nodiscard]] const BrokerLimits& limits() const { return limits_; }

    // The first one of this run; empty: none.
    [[nodiscard]] const std::string& refusal() const { return refusal_; }

private:
    struct Entry {
        Buffer packet;  // without DUP; empty: it was put by a run before this one, or refused here
        bool is_received = false;  // PUBREC or PUBACK came
        bool is_released = false;  // QoS 2: PUBREL was sent
        bool is_completed = false;
        bool is_refused = false;  // and not counted yet
    };

    [[nodiscard]] std::optional<std::string> take(const mqtt::Frame& frame, Buffer& out);
    [[nodiscard]] std::optional<std::string> take_connack(const mqtt::Frame& frame, Buffer& out);
    [[nodiscard]] std::optional<std::string> take_limits(Bytes properties);
    [[nodiscard]] std::optional<std::string> take_ack(const mqtt::Frame& frame, Buffer& out);
    [[nodiscard]] std::optional<std::string> take_disconnect(const mqtt::Frame& frame);
    [[nodiscard]] std::optional<std::string> go_on(Buffer& out);
    [[nodiscard]] bool forget_receipts();
    void send_due(Buffer& out);
    void send_release(std::uint64_t number, Buffer& out) const;
    void move_up(Buffer& out);
    void complete_refused(Entry& entry, const std::string& why);
    [[nodiscard]] Entry& entry(std::uint64_t number);
    [[nodiscard]] Entry* find(mqtt::PacketId id);

    Options options_;
    PublishProgress progress_;
    std::uint64_t first_;          // the number of in_flight_.front(): progress_.completed
    std::uint64_t sent_ = 0;       // on this connection, up to this number
    std::uint64_t again_end_ = 0;  // records before it may have been sent on an earlier one
    std::deque<Entry> in_flight_;
    std::size_t in_flight_bytes_ = 0;
    std::size_t window_;
    Buffer rest_;  // of the broker's bytes: a packet that is not whole
    BrokerLimits limits_;
    std::string refusal_;
    bool has_put_ = false;
    bool is_session_kept_ = false;  // by the broker, when this connection began
    bool is_connected_ = false;
    bool is_hopeless_ = false;
};

}  // namespace milepost::tool
