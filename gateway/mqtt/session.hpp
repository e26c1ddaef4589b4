#pragma once

#include "gateway/mqtt/decode.hpp"
#include "gateway/mqtt/encode.hpp"
#include "gateway/mqtt/errc.hpp"
#include "gateway/mqtt/frame_reader.hpp"
#include "gateway/mqtt/packet.hpp"
#include "gateway/mqtt/topic_aliases.hpp"
#include "storage/base/units.hpp"

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

namespace milepost::mqtt {

// Shared by all sessions of a listener.
struct Limits {
    std::size_t packet_bytes_max = 256 * kib;
    std::size_t client_id_bytes_max = 256;
    std::uint16_t in_flight_publishes_max = 256;  // 5.0's Receive Maximum
    std::uint16_t topic_alias_max = 32;
    std::size_t topic_alias_bytes_max = 16 * kib;  // all topics behind them, of one connection
    std::size_t in_flight_bytes_max = 256 * kib;
    std::uint16_t keep_alive_s_max = 0xFFFF;  // 0xFFFF: whatever the client asks for
};

// Where a session hands over what it has understood. The packets are valid during the call only.
// The sink may call the session back (accept, refuse, publish_done, disconnect) from inside.
template <class Sink>
concept SessionSink = requires(
    Sink sink,
    const Connect& connect,
    const Publish& publish,
    Ticket release,
    const Subscribe& subscribe,
    PacketType ack_type,
    Ack ack,
    const Disconnect& leaving
) {
    // Answered by accept() or refuse(), now or later; no byte is consumed before that.
    { sink.on_connect(connect) } -> std::same_as<void>;
    // QoS 1 and 2: answered by publish_done(publish.ticket, …) when it is durable. Whether it was
    // written before the owner knows: a retransmission is handed over again.
    { sink.on_publish(publish) } -> std::same_as<Taken>;
    // The PUBREL of a QoS 2 publish: answered by publish_done(release, …) when it is durable that
    // its packet id is free.
    { sink.on_release(release) } -> std::same_as<Taken>;
    // Answered by subscribe_done(subscribe.ticket, …), when the subscriptions are durable. Never
    // refused as a whole: each filter has its reason code.
    { sink.on_subscribe(subscribe) } -> std::same_as<Taken>;
    { sink.on_unsubscribe(subscribe) } -> std::same_as<Taken>;
    // The device's PUBACK, PUBREC or PUBCOMP of what was published to it; the packet id may be
    // unknown to the owner.
    { sink.on_ack(ack_type, ack) } -> std::same_as<void>;
    // The device has said goodbye; the session is closed already, is_will_due() says of what kind.
    { sink.on_disconnect(leaving) } -> std::same_as<void>;
};

// What the owner has to wait for before it calls receive() again with the rest.
enum class Awaits : std::uint8_t {
    bytes,   // more input
    answer,  // accept() or refuse()
    acks,    // publish_done(), until wants_pause() is false
    room,    // the owner itself said `later`
    close,   // nothing: send what is in `out`, then close the connection; closed_because() says why
};

struct Received {
    std::size_t consumed = 0;  // bytes at the front of the input that are done with
    Awaits awaits = Awaits::bytes;
    std::size_t wanted = 0;  // awaits == bytes: the next packet is at least so long, from its start
};

// What the owner tells of the session it has opened or found.
struct Acceptance {
    bool session_present = false;
    std::string_view assigned_client_id;            // 5.0: when the device sent none
    std::optional<std::uint32_t> session_expiry_s;  // 5.0: when it is not what was asked for
};

// The server's side of one MQTT connection, 3.1.1 or 5.0: bytes and events in, sink calls and bytes
// out. Pure: no socket, no clock, no thread of its own, no buffer. One thread at a time. Small and
// without heap (but for topic aliases): an idle connection costs its 40 bytes.
//
// Output is appended to the `out` of each call, in the order of the calls: what came out earlier
// goes to the device earlier. receive() appends at most one answer a packet and never more bytes
// than it consumes, but for one CONNACK or DISCONNECT.
//
// What is published to the device, and what of it waits for an ack, outlives a connection and is
// the owner's; the session only writes it. Not served, and refused as the protocol wants it: AUTH.
class Session {
public:
    // `limits` outlives the session.
    explicit Session(const Limits& limits)
        : limits_(&limits) {}

    // Takes whole packets off the front of `input` and calls the sink for each, until something is
    // awaited. The owner keeps the bytes that were not consumed and gives them again, with more
    // behind, next time.
    template <SessionSink Sink>
    Received receive(Bytes input, Sink& sink, Buffer& out);

    // The answer to on_connect. Both append the CONNACK; after refuse() the connection is to be
    // closed. `reason` is a failure. No-op if the session was closed meanwhile.
    void accept(const Acceptance& acceptance, Buffer& out);
    void refuse(ReasonCode reason, Buffer& out);

    // A publish is durable, or refused for ever (5.0: with that reason; 3.1.1: acknowledged all the
    // same, there is no other answer), or a release is durable. Called in the order of the packets
    // (MQTT-4.6.0-2, -3). Writes the PUBACK, PUBREC or PUBCOMP at `to`, where answer_bytes_max
    // bytes are free; returns its length, 0 when the session is closed.
    [[nodiscard]] std::size_t publish_done(Ticket ticket, ReasonCode reason, std::byte* to);
    // The same, appended.
    void publish_done(Ticket ticket, ReasonCode reason, Buffer& out);

    // The SUBACK or UNSUBACK of a SUBSCRIBE or UNSUBSCRIBE, one code a filter, appended; no-op when
    // it is closed.
    void subscribe_done(Ticket ticket, std::span<const ReasonCode> codes, Buffer& out);

    // A PUBLISH to the device, appended. False: nothing was, it is above what the device takes
    // (MQTT-3.1.2-24), or the session is not connected.
    [[nodiscard]] bool publish(const Publish& publish, Buffer& out);
    // The PUBREL of a QoS 2 one, appended; no-op when it is not connected.
    void release(Ack release, Buffer& out);

    // The owner ends the connection (take-over, keep-alive, shutdown …): a DISCONNECT in 5.0,
    // nothing in 3.1.1. No-op when it is closed.
    void disconnect(ReasonCode reason, Buffer& out);

    // Too much is unacknowledged: the owner does not read until that changes. In 5.0 the number of
    // publishes never pauses: the device may not send more than Receive Maximum (0x93 if it does).
    [[nodiscard]] bool wants_pause() const {
        return in_flight_weight_ * Ticket::weight_bytes >= limits_->in_flight_bytes_max ||
               (level_ == ProtocolLevel::v3_1_1 && in_flight_ >= limits_->in_flight_publishes_max);
    }

    [[nodiscard]] bool is_connected() const { return state_ == State::connected; }

    [[nodiscard]] bool is_closed() const { return state_ == State::closed; }

    // Errc::none while it is open.
    [[nodiscard]] Errc closed_because() const { return closed_because_; }

    // Once it is closed, or the socket is gone: whether the will of the CONNECT is to be published.
    // False only if the connection was never accepted or the device took its will back by a normal
    // DISCONNECT (MQTT-3.1.2-10). Whether there is a will the owner knows.
    [[nodiscard]] bool is_will_due() const { return was_accepted_ && !is_will_taken_back_; }

    // Right from on_connect on.
    [[nodiscard]] ProtocolLevel level() const { return level_; }

    // What holds for this connection: the device's wish, or the listener's limit in 5.0.
    [[nodiscard]] std::uint16_t keep_alive_s() const { return keep_alive_s_; }

    // What waits for publish_done() or subscribe_done().
    [[nodiscard]] std::uint32_t in_flight() const { return in_flight_; }

    [[nodiscard]] std::size_t in_flight_bytes() const {
        return in_flight_weight_ * Ticket::weight_bytes;
    }

    // What the connection's topic aliases take, counted anew: at most topic_alias_bytes_max.
    [[nodiscard]] std::size_t topic_alias_bytes() const {
        return aliases_ ? aliases_->held_bytes() : 0;
    }

private:
    enum class State : std::uint8_t { expects_connect, awaits_answer, connected, closed };

    template <class Sink>
    Taken take_publish(const Frame& frame, std::size_t bytes, Sink& sink, Buffer& out);
    template <class Sink>
    Taken take_release(const Frame& frame, Sink& sink, Buffer& out);
    template <class Sink>
    Taken take_subscribe(const Frame& frame, Sink& sink, Buffer& out);
    template <class Sink>
    void take_ack(const Frame& frame, Sink& sink, Buffer& out);
    template <class Sink>
    Taken take_other(const Frame& frame, Sink& sink, Buffer& out);
    bool take_connect(const Frame& frame, Connect& connect, Buffer& out);
    bool take_disconnect(const Frame& frame, Disconnect& leaving, Buffer& out);
    void take_rest(const Frame& frame, Buffer& out);
    Errc check_publish(Publish& publish);
    Errc resolve_alias(Publish& publish);
    void refuse_connect(Errc why, Buffer& out);
    void fail(Errc why, Buffer& out);
    void close(Errc why);
    bool fits(Buffer& out, std::size_t from);

    static bool begins_connect(Bytes input) {
        return std::to_integer<unsigned>(input[0]) >> 4U ==
               static_cast<unsigned>(PacketType::connect);
    }

    const Limits* limits_;
    std::unique_ptr<TopicAliases> aliases_;
    std::uint32_t client_packet_bytes_max_ = 0xFFFFFFFF;
    std::uint32_t in_flight_weight_ = 0;
    std::uint32_t in_flight_ = 0;
    // 5.0: what the device has used of its send quota (section 4.9): a QoS 1 publish until its
    // PUBACK, a QoS 2 one until its PUBCOMP.
    std::uint16_t quota_used_ = 0;
    std::uint16_t keep_alive_s_ = 0;
    State state_ = State::expects_connect;
    ProtocolLevel level_ = ProtocolLevel::v3_1_1;
    Errc closed_because_ = Errc::none;
    bool has_session_expiry_ = false;
    bool is_keep_alive_limited_ = false;
    bool was_accepted_ = false;
    bool is_will_taken_back_ = false;
};

static_assert(sizeof(Session) <= 40, "one per connection: goal 8 of the idle connection's memory");

}  // namespace milepost::mqtt

#include "gateway/mqtt/session_receive.hpp"
