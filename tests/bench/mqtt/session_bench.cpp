// What one 200-byte QoS 1 PUBLISH costs from its bytes to the sink and back to its PUBACK: frame
// reader, decoder and session, no socket and no log. Prints nanoseconds a publish for each shape.
#include "gateway/mqtt/session.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

namespace {

using namespace milepost;
using namespace milepost::mqtt;

// Keeps the tickets as an owner does, and looks at topic and payload so that they are really there.
struct TicketSink {
    std::vector<Ticket> tickets;
    std::uint64_t sum = 0;

    void on_connect(const Connect&) {}

    Taken on_publish(const Publish& publish) {
        sum += publish.topic.size() + publish.payload.size();
        if (publish.ticket.packet_id != 0) tickets.push_back(publish.ticket);
        return Taken::yes;
    }

    Taken on_release(Ticket) { return Taken::yes; }

    Taken on_subscribe(const Subscribe&) { return Taken::yes; }

    Taken on_unsubscribe(const Subscribe&) { return Taken::yes; }

    void on_ack(PacketType, Ack) {}

    void on_disconnect(const Disconnect&) {}
};

struct Shape {
    const char* name;
    ProtocolLevel level;
    bool has_properties;
};

constexpr std::size_t publishes_per_turn = 100;
constexpr std::size_t payload_bytes = 200;

double nanoseconds_a_publish(const Shape& shape) {
    const Limits limits;
    Session session{limits};
    TicketSink sink;
    Buffer out;
    Buffer bytes;
    Connect connect;
    connect.client_id = "vehicle-0001";
    connect.level = shape.level;
    encode_connect(bytes, connect);
    session.receive(bytes, sink, out);
    session.accept({}, out);

    Buffer properties;
    if (shape.has_properties) {
        append_text_property(properties, PropertyId::content_type, "application/json");
        append_user_property(properties, "fleet", "north");
    }
    const std::string payload(payload_bytes, 'x');
    bytes.clear();
    for (std::size_t i = 0; i < publishes_per_turn; ++i) {
        Publish publish;
        publish.topic = "vehicles/V0001/telemetry";
        publish.payload = as_bytes(payload);
        publish.properties = properties;
        publish.qos = Qos::at_least_once;
        publish.ticket.packet_id = static_cast<PacketId>(i + 1);
        encode_publish(bytes, shape.level, publish);
    }
    constexpr int turns = 50'000;
    const auto begin = std::chrono::steady_clock::now();
    for (int turn = 0; turn < turns; ++turn) {
        session.receive(bytes, sink, out);
        out.resize(publishes_per_turn * answer_bytes_max);
        std::size_t used = 0;
        for (const Ticket ticket : sink.tickets) {
            used += session.publish_done(ticket, ReasonCode::success, out.data() + used);
        }
        sink.tickets.clear();
        sink.sum += used;
    }
    const std::chrono::duration<double, std::nano> took = std::chrono::steady_clock::now() - begin;
    if (sink.sum == 0) std::printf("nothing was decoded\n");
    return took.count() / (double{turns} * publishes_per_turn);
}

}  // namespace

int main() {
    constexpr std::array shapes{
        Shape{"3.1.1", ProtocolLevel::v3_1_1, false},
        Shape{"5.0", ProtocolLevel::v5, false},
        Shape{"5.0, content type and one user property", ProtocolLevel::v5, true}};
    for (const Shape& shape : shapes) {
        double best = nanoseconds_a_publish(shape);
        for (int i = 0; i < 4; ++i) {
            best = std::min(best, nanoseconds_a_publish(shape));
        }
        std::printf("%-42s %6.1f ns a publish\n", shape.name, best);
    }
    return 0;
}
