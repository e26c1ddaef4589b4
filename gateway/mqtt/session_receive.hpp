#pragma once

// The templates of session.hpp, which includes this at its end.
#include "gateway/mqtt/session.hpp"

namespace milepost::mqtt {

// A PUBACK, PUBREC or PUBCOMP answers what a server has sent.
[[nodiscard]] constexpr bool is_ack_of_ours(PacketType type) {
    return type == PacketType::puback || type == PacketType::pubrec || type == PacketType::pubcomp;
}

template <SessionSink Sink>
Received Session::receive(Bytes input, Sink& sink, Buffer& out) {
    Received received;
    while (state_ == State::connected || state_ == State::expects_connect) {
        if (wants_pause()) return {received.consumed, Awaits::acks, 0};
        const Bytes rest = input.subspan(received.consumed);
        if (state_ == State::expects_connect && !rest.empty() && !begins_connect(rest)) {
            fail(Errc::connect_expected, out);
            break;
        }
        const FrameResult next = read_frame(rest, limits_->packet_bytes_max);
        if (next.status == FrameStatus::need_more) {
            return {received.consumed, Awaits::bytes, next.bytes};
        }
        if (next.status != FrameStatus::whole) {
            const bool too_large = next.status == FrameStatus::too_large;
            fail(too_large ? Errc::packet_too_large : Errc::malformed_length, out);
            break;
        }
        if (!next.frame.is_length_minimal && level_ == ProtocolLevel::v5) {
            fail(Errc::malformed_length, out);
            break;
        }
        const bool is_publish = next.frame.type() == PacketType::publish;
        const Taken taken = is_publish ? take_publish(next.frame, next.bytes, sink, out)
                                       : take_other(next.frame, sink, out);
        if (taken == Taken::later) return {received.consumed, Awaits::room, 0};
        received.consumed += next.bytes;
    }
    received.awaits = state_ == State::awaits_answer ? Awaits::answer : Awaits::close;
    return received;
}

template <class Sink>
Taken Session::take_publish(const Frame& frame, std::size_t bytes, Sink& sink, Buffer& out) {
    Publish publish;
    Errc why = decode_publish(frame, level_, publish);
    if (why == Errc::none) why = check_publish(publish);
    if (why != Errc::none) {
        fail(why, out);
        return Taken::yes;
    }
    if (publish.qos == Qos::at_most_once) return sink.on_publish(publish);

    const std::size_t weight = (bytes + Ticket::weight_bytes - 1) / Ticket::weight_bytes;
    publish.ticket.weight = static_cast<std::uint16_t>(weight < 0xFFFF ? weight : 0xFFFF);
    if (publish.qos == Qos::exactly_once) publish.ticket.answer = PacketType::pubrec;
    const std::uint16_t quota = level_ == ProtocolLevel::v5 ? 1 : 0;
    // Counted before the call: the sink may answer at once.
    ++in_flight_;
    in_flight_weight_ += publish.ticket.weight;
    quota_used_ = static_cast<std::uint16_t>(quota_used_ + quota);
    const Taken taken = sink.on_publish(publish);
    if (taken == Taken::later) {
        --in_flight_;
        in_flight_weight_ -= publish.ticket.weight;
        quota_used_ = static_cast<std::uint16_t>(quota_used_ - quota);
    }
    return taken;
}

template <class Sink>
Taken Session::take_release(const Frame& frame, Sink& sink, Buffer& out) {
    Ack release;
    const Errc why = decode_ack(frame, level_, release);
    if (why != Errc::none) {
        fail(why, out);
        return Taken::yes;
    }
    const Ticket ticket{release.packet_id, 1, PacketType::pubcomp};
    ++in_flight_;
    in_flight_weight_ += ticket.weight;
    const Taken taken = sink.on_release(ticket);
    if (taken == Taken::later) {
        --in_flight_;
        in_flight_weight_ -= ticket.weight;
    }
    return taken;
}

// Counted in flight until its SUBACK: a device that does nothing but subscribe is paused too.
template <class Sink>
Taken Session::take_subscribe(const Frame& frame, Sink& sink, Buffer& out) {
    const bool is_subscribe = frame.type() == PacketType::subscribe;
    Subscribe wanted;
    const Errc why = is_subscribe ? decode_subscribe(frame, level_, wanted)
                                  : decode_unsubscribe(frame, level_, wanted);
    if (why != Errc::none) {
        fail(why, out);
        return Taken::yes;
    }
    const std::size_t weight = frame.body.size() / Ticket::weight_bytes + 1;
    wanted.ticket = {
        wanted.packet_id,
        static_cast<std::uint16_t>(weight < 0xFFFF ? weight : 0xFFFF),
        is_subscribe ? PacketType::suback : PacketType::unsuback};
    ++in_flight_;
    in_flight_weight_ += wanted.ticket.weight;
    const std::uint16_t counted = wanted.ticket.weight;
    const Taken taken = is_subscribe ? sink.on_subscribe(wanted) : sink.on_unsubscribe(wanted);
    if (taken == Taken::later) {
        --in_flight_;
        in_flight_weight_ -= counted;
    }
    return taken;
}

template <class Sink>
void Session::take_ack(const Frame& frame, Sink& sink, Buffer& out) {
    Ack ack;
    const Errc why = decode_ack(frame, level_, ack);
    if (why != Errc::none) return fail(why, out);
    sink.on_ack(frame.type(), ack);
}

template <class Sink>
Taken Session::take_other(const Frame& frame, Sink& sink, Buffer& out) {
    const PacketType type = frame.type();
    if (type == PacketType::connect) {
        Connect connect;
        if (take_connect(frame, connect, out)) sink.on_connect(connect);
    } else if (type == PacketType::disconnect) {
        Disconnect leaving;
        if (take_disconnect(frame, leaving, out)) sink.on_disconnect(leaving);
    } else if (type == PacketType::pubrel) {
        return take_release(frame, sink, out);
    } else if (type == PacketType::subscribe || type == PacketType::unsubscribe) {
        return take_subscribe(frame, sink, out);
    } else if (is_ack_of_ours(type)) {
        take_ack(frame, sink, out);
    } else {
        take_rest(frame, out);
    }
    return Taken::yes;
}

inline Errc Session::check_publish(Publish& publish) {
    if (level_ == ProtocolLevel::v3_1_1) return Errc::none;
    if (publish.qos != Qos::at_most_once && quota_used_ >= limits_->in_flight_publishes_max) {
        return Errc::receive_maximum_exceeded;
    }
    return publish.topic_alias == 0 ? Errc::none : resolve_alias(publish);
}

inline std::size_t Session::publish_done(Ticket ticket, ReasonCode reason, std::byte* to) {
    if (state_ != State::connected) return 0;
    --in_flight_;
    in_flight_weight_ -= ticket.weight;
    const bool is_last = ticket.answer != PacketType::pubrec || is_failure(reason);
    if (is_last && quota_used_ > 0) --quota_used_;
    return encode_answer(to, level_, ticket.answer, {ticket.packet_id, reason});
}

}  // namespace milepost::mqtt
