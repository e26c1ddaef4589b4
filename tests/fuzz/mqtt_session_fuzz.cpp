// A device may send anything, in any pieces: the session takes the same packets and gives the same
// answers as when it comes at once, keeps its count of what is in flight, and stays silent once it
// is closed. What the device subscribes to it is sent: every packet to it is whole, can be decoded
// and is no larger than it said; what it has not acknowledged never exceeds its window, also when
// it connects again; its will goes the same way. Its topic aliases never take more than allowed.
#include "gateway/mqtt/properties.hpp"
#include "gateway/mqtt/session.hpp"
#include "storage/base/check.hpp"
#include "tests/fuzz/own_subscriber.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace {

using namespace milepost;
using namespace milepost::mqtt;
using broker::MessagePtr;
using fuzz::check_packets;
using fuzz::OwnSubscriber;

constexpr std::size_t at_once = 0xFFFFFFFF;
constexpr std::size_t connections_max = 4;

Limits small_limits() {
    Limits limits;
    limits.packet_bytes_max = 1024;
    limits.client_id_bytes_max = 16;
    limits.in_flight_publishes_max = 4;
    limits.in_flight_bytes_max = 512;
    limits.topic_alias_max = 4;
    limits.topic_alias_bytes_max = 48;
    limits.keep_alive_s_max = 600;
    return limits;
}

// Owns the sessions of one device, and is its only subscriber. Answers a CONNECT when nothing else
// can go on, acknowledges only when the session pauses, and has no room for every fifth publish at
// first. Everything that it does hangs on the packets alone, so that it is the same in any pieces.
class Owner {
public:
    explicit Owner(const Limits& limits)
        : limits_(limits) {
        session_.emplace(limits_);
    }

    void feed(Bytes bytes) {
        append_bytes(input_, bytes);
        while (true) {
            if (is_next_sought_) seek_connect();
            const std::size_t out_before = out_.size();
            const bool was_closed = session_->is_closed();
            const Received received = session_->receive(input_, *this, out_);
            MILEPOST_CHECK(received.consumed <= input_.size());
            MILEPOST_CHECK(out_.size() - out_before <= received.consumed + 8);
            MILEPOST_CHECK(!was_closed || out_.size() == out_before);
            drop_input(received.consumed);
            check_count();
            if (received.awaits == Awaits::answer) {
                answer();
            } else if (received.awaits == Awaits::acks) {
                MILEPOST_CHECK(session_->wants_pause() && !tickets_.empty());
                sync();
            } else if (received.awaits == Awaits::bytes) {
                MILEPOST_CHECK(received.wanted > input_.size());
                return;
            } else if (received.awaits == Awaits::close) {
                MILEPOST_CHECK(session_->is_closed());
                MILEPOST_CHECK(session_->closed_because() != Errc::none);
                if (connections_ == connections_max) return;
                connect_again();
            }
        }
    }

    // Everything that a device and the owner of its session can tell from outside.
    std::string finish() {
        sync();
        session_->disconnect(ReasonCode::server_shutting_down, out_);
        end_connection();
        return events_;
    }

    void on_connect(const Connect& connect) {
        events_ += "connect " + std::string{connect.client_id};
        is_refused_ = connect.client_id.starts_with("no");
        is_unnamed_ = connect.client_id.empty();
        subscriber_.connect(connect.receive_maximum);
        device_packet_bytes_max_ = connect.packet_bytes_max;
        is_kept_ = connect.session_expiry_s != 0;
        is_present_ = !connect.clean_start && was_kept_;
        if (!is_present_) subscriber_.begin();
        if (is_present_ && connect.keep_alive_s == 1) subscriber_.restart();
        will_.reset();
        if (!connect.will) return;
        Publish publish;
        publish.topic = connect.will->topic;
        publish.payload = connect.will->payload;
        publish.properties = connect.will->properties;
        publish.qos = connect.will->qos;
        publish.retain = connect.will->retain;
        will_ = OwnSubscriber::stored(publish);
    }

    Taken on_publish(const Publish& publish) {
        if (++offered_ % 5 == 0) return Taken::later;
        MILEPOST_CHECK(!publish.topic.empty());
        events_ += "publish " + std::string{publish.topic} + std::string{as_text(publish.payload)};
        const bool is_wanted = !publish.topic.starts_with("no");
        if (publish.ticket.packet_id != 0) {
            const ReasonCode reason = is_wanted ? ReasonCode::success : ReasonCode::not_authorized;
            tickets_.push_back({publish.ticket, reason});
        }
        if (is_wanted) subscriber_.spread(OwnSubscriber::stored(publish), /*is_own=*/true);
        subscriber_.pump(*session_, delivered_);
        return Taken::yes;
    }

    Taken on_release(Ticket release) {
        if (++offered_ % 5 == 0) return Taken::later;
        events_ += "release " + std::to_string(release.packet_id);
        tickets_.push_back({release, ReasonCode::success});
        return Taken::yes;
    }

    Taken on_subscribe(const Subscribe& subscribe) {
        if (++offered_ % 5 == 0) return Taken::later;
        events_ += "subscribe";
        const auto identifier =
            find_number(subscribe.properties, PropertyId::subscription_identifier);
        std::vector<ReasonCode> codes;
        for (Bytes rest = subscribe.filters; !rest.empty();) {
            const Subscription wanted = take_subscription(rest);
            MILEPOST_CHECK(!wanted.filter.empty() && wanted.retain_handling < 3);
            events_ += wanted.filter;
            codes.push_back(subscriber_.subscribe(wanted, identifier.value_or(0)));
        }
        MILEPOST_CHECK(codes.size() == subscribe.filter_count);
        codes_.push_back(std::move(codes));
        tickets_.push_back({subscribe.ticket, ReasonCode::success});
        return Taken::yes;
    }

    Taken on_unsubscribe(const Subscribe& unsubscribe) {
        if (++offered_ % 5 == 0) return Taken::later;
        events_ += "unsubscribe";
        std::vector<ReasonCode> codes;
        for (Bytes rest = unsubscribe.filters; !rest.empty();) {
            const std::string_view filter = take_filter(rest);
            events_ += filter;
            const bool was_there = subscriber_.unsubscribe(filter);
            codes.push_back(was_there ? ReasonCode::success : ReasonCode::no_subscription_existed);
        }
        codes_.push_back(std::move(codes));
        tickets_.push_back({unsubscribe.ticket, ReasonCode::success});
        return Taken::yes;
    }

    void on_ack(PacketType type, Ack ack) {
        events_ += "ack " + std::to_string(static_cast<int>(type)) + std::to_string(ack.packet_id);
        subscriber_.ack(type, ack, *session_, delivered_);
        subscriber_.pump(*session_, delivered_);
    }

    void on_disconnect(const Disconnect& leaving) {
        events_ += "disconnect " + std::to_string(static_cast<int>(leaving.reason));
    }

private:
    struct Waiting {
        Ticket ticket;
        ReasonCode reason;
    };

    void drop_input(std::size_t bytes) {
        input_.erase(input_.begin(), input_.begin() + static_cast<std::ptrdiff_t>(bytes));
    }

    // What is left of a connection that was closed is dropped: up to the next CONNECT.
    void seek_connect() {
        const auto begins = static_cast<std::byte>(
            static_cast<unsigned>(PacketType::connect) << 4U
        );
        const auto at = std::find(input_.begin(), input_.end(), begins);
        is_next_sought_ = at == input_.end();
        drop_input(static_cast<std::size_t>(at - input_.begin()));
    }

    void answer() {
        if (is_refused_) return session_->refuse(ReasonCode::not_authorized, out_);
        const std::string_view name = is_unnamed_ ? "mp-1" : "";
        session_->accept({is_present_, name, is_kept_ ? std::optional{7U} : std::nullopt}, out_);
        subscriber_.pump(*session_, delivered_);
    }

    void end_connection() {
        check_packets(out_, session_->level(), 0xFFFFFFFF);
        check_packets(delivered_, session_->level(), device_packet_bytes_max_);
        events_ += "|" + std::string{as_text(out_)} + "|" + std::string{as_text(delivered_)} + "|" +
                   text_of(session_->closed_because());
        tickets_.clear();
        codes_.clear();
        out_.clear();
        delivered_.clear();
        subscriber_.interrupt();
        was_kept_ = is_kept_;
        if (!is_kept_) subscriber_.begin();
        if (will_ && session_->is_will_due()) {
            events_ += "will";
            subscriber_.spread(will_, /*is_own=*/false);
        }
        will_.reset();
    }

    void connect_again() {
        end_connection();
        ++connections_;
        session_.emplace(limits_);
        is_next_sought_ = true;
    }

    void sync() {
        for (const auto& [ticket, reason] : tickets_) {
            if (ticket.answer == PacketType::suback || ticket.answer == PacketType::unsuback) {
                session_->subscribe_done(ticket, codes_.front(), out_);
                codes_.pop_front();
            } else {
                session_->publish_done(ticket, reason, out_);
            }
        }
        tickets_.clear();
        check_count();
    }

    void check_count() const {
        MILEPOST_CHECK(session_->topic_alias_bytes() <= limits_.topic_alias_bytes_max);
        if (session_->is_closed()) return;
        MILEPOST_CHECK(session_->in_flight() == tickets_.size());
        MILEPOST_CHECK(tickets_.size() <= limits_.in_flight_bytes_max / Ticket::weight_bytes);
        MILEPOST_CHECK((session_->in_flight_bytes() == 0) == tickets_.empty());
    }

    const Limits& limits_;
    std::optional<Session> session_;
    OwnSubscriber subscriber_;
    MessagePtr will_;
    Buffer input_;
    Buffer out_;
    Buffer delivered_;
    std::vector<Waiting> tickets_;
    std::deque<std::vector<ReasonCode>> codes_;  // of the SUBACKs and UNSUBACKs that wait
    std::string events_;
    std::size_t offered_ = 0;
    std::size_t connections_ = 1;
    std::uint32_t device_packet_bytes_max_ = 0xFFFFFFFF;
    bool is_refused_ = false;
    bool is_unnamed_ = false;
    bool is_kept_ = false;
    bool was_kept_ = false;  // the connection before had a session that stays
    bool is_present_ = false;
    bool is_next_sought_ = false;
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
