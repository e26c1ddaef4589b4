// A device may send anything, in any pieces: the session takes the same packets and gives the same
// answers as when it comes at once, keeps its count of what is in flight, and stays silent once it
// is closed.
#include "gateway/mqtt/session.hpp"
#include "storage/base/check.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <vector>

namespace {

using namespace milepost;
using namespace milepost::mqtt;

constexpr std::size_t at_once = 0xFFFFFFFF;

Limits small_limits() {
    Limits limits;
    limits.packet_bytes_max = 1024;
    limits.client_id_bytes_max = 16;
    limits.in_flight_publishes_max = 4;
    limits.in_flight_bytes_max = 512;
    limits.keep_alive_s_max = 600;
    return limits;
}

// Answers a CONNECT when nothing else can go on, acknowledges only when the session pauses, and
// has no room for every fifth publish at first.
class Owner {
public:
    explicit Owner(const Limits& limits)
        : limits_(limits)
        , session_(limits) {}

    void feed(Bytes bytes) {
        append_bytes(input_, bytes);
        while (true) {
            const std::size_t out_before = out_.size();
            const bool was_closed = session_.is_closed();
            const Received received = session_.receive(input_, *this, out_);
            MILEPOST_CHECK(received.consumed <= input_.size());
            MILEPOST_CHECK(out_.size() - out_before <= received.consumed + 8);
            MILEPOST_CHECK(!was_closed || out_.size() == out_before);
            input_.erase(
                input_.begin(),
                input_.begin() + static_cast<std::ptrdiff_t>(received.consumed)
            );
            check_count();
            if (received.awaits == Awaits::answer) {
                session_.accept({false, "mp-1", {}}, out_);
            } else if (received.awaits == Awaits::acks) {
                MILEPOST_CHECK(session_.wants_pause() && !tickets_.empty());
                sync();
            } else if (received.awaits == Awaits::bytes) {
                MILEPOST_CHECK(received.wanted > input_.size());
                return;
            } else if (received.awaits == Awaits::close) {
                MILEPOST_CHECK(session_.is_closed());
                MILEPOST_CHECK(session_.closed_because() != Errc::none);
                return;
            }
        }
    }

    // Everything that a device and the owner of its session can tell from outside.
    std::string finish() {
        sync();
        session_.disconnect(ReasonCode::server_shutting_down, out_);
        return events_ + "|" + std::string{as_text(out_)} + "|" +
               text_of(session_.closed_because()) + (session_.is_will_due() ? "|will" : "|");
    }

    void on_connect(const Connect& connect) {
        events_ += "connect " + std::string{connect.client_id};
        if (connect.will) events_ += std::string{connect.will->topic};
    }

    Taken on_publish(const Publish& publish) {
        if (++offered_ % 5 == 0) return Taken::later;
        MILEPOST_CHECK(!publish.topic.empty());
        events_ += "publish " + std::string{publish.topic} + std::string{as_text(publish.payload)};
        if (publish.ticket.packet_id != 0) tickets_.push_back(publish.ticket);
        return Taken::yes;
    }

    Taken on_release(Ticket release) {
        if (++offered_ % 5 == 0) return Taken::later;
        events_ += "release " + std::to_string(release.packet_id);
        tickets_.push_back(release);
        return Taken::yes;
    }

    Taken on_subscribe(const Subscribe& subscribe) {
        if (++offered_ % 5 == 0) return Taken::later;
        events_ += "subscribe";
        std::size_t count = 0;
        for (Bytes rest = subscribe.filters; !rest.empty(); ++count) {
            const Subscription wanted = take_subscription(rest);
            MILEPOST_CHECK(!wanted.filter.empty() && wanted.retain_handling < 3);
            events_ += wanted.filter;
        }
        MILEPOST_CHECK(count == subscribe.filter_count);
        codes_.push_back(std::vector(count, ReasonCode::granted_qos_1));
        tickets_.push_back(subscribe.ticket);
        return Taken::yes;
    }

    Taken on_unsubscribe(const Subscribe& unsubscribe) {
        if (++offered_ % 5 == 0) return Taken::later;
        events_ += "unsubscribe";
        for (Bytes rest = unsubscribe.filters; !rest.empty();) {
            events_ += take_filter(rest);
        }
        codes_.push_back(std::vector(unsubscribe.filter_count, ReasonCode::success));
        tickets_.push_back(unsubscribe.ticket);
        return Taken::yes;
    }

    void on_ack(PacketType type, Ack ack) {
        events_ += "ack " + std::to_string(static_cast<int>(type)) + std::to_string(ack.packet_id);
    }

    void on_disconnect(const Disconnect& leaving) {
        events_ += "disconnect " + std::to_string(static_cast<int>(leaving.reason));
    }

private:
    void sync() {
        for (const Ticket ticket : tickets_) {
            if (ticket.answer == PacketType::suback || ticket.answer == PacketType::unsuback) {
                session_.subscribe_done(ticket, codes_.front(), out_);
                codes_.pop_front();
            } else {
                session_.publish_done(ticket, ReasonCode::success, out_);
            }
        }
        tickets_.clear();
        check_count();
    }

    void check_count() const {
        if (session_.is_closed()) return;
        MILEPOST_CHECK(session_.in_flight() == tickets_.size());
        MILEPOST_CHECK(tickets_.size() <= limits_.in_flight_bytes_max / Ticket::weight_bytes);
        MILEPOST_CHECK((session_.in_flight_bytes() == 0) == tickets_.empty());
    }

    const Limits& limits_;
    Session session_;
    Buffer input_;
    Buffer out_;
    std::vector<Ticket> tickets_;
    std::deque<std::vector<ReasonCode>> codes_;  // of the SUBACKs and UNSUBACKs that wait
    std::string events_;
    std::size_t offered_ = 0;
};

std::string play(Bytes prelude, Bytes bytes, std::size_t chunk_bytes) {
    static const Limits limits = small_limits();
    Owner owner{limits};
    if (!prelude.empty()) owner.feed(prelude);
    while (!bytes.empty()) {
        const std::size_t count = std::min(chunk_bytes, bytes.size());
        owner.feed(bytes.first(count));
        bytes = bytes.subspan(count);
    }
    return owner.finish();
}

// The first byte chooses: a raw connection, one that is through its CONNECT in 3.1.1, or in 5.0.
Buffer prelude_of(unsigned choice) {
    Buffer bytes;
    if (choice % 3 == 0) return bytes;
    Connect connect;
    connect.level = choice % 3 == 1 ? ProtocolLevel::v3_1_1 : ProtocolLevel::v5;
    connect.client_id = "fuzz";
    connect.clean_start = true;
    encode_connect(bytes, connect);
    return bytes;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const Bytes input = std::as_bytes(std::span{data, size});
    if (input.empty()) return 0;
    const auto choice = std::to_integer<unsigned>(input.front());
    const Buffer prelude = prelude_of(choice);
    const Bytes bytes = input.subspan(1);
    const std::string whole = play(prelude, bytes, at_once);
    MILEPOST_CHECK(play(prelude, bytes, 1) == whole);
    MILEPOST_CHECK(play(prelude, bytes, 2 + choice / 3) == whole);
    return 0;
}
