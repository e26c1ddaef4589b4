// Holds MQTT-2.2.1-3, -4, 3.3.4-7, 4.3.2-1 to -3, 4.3.3-1 to -6, 4.4.0-1, 4.6.0-1, 4.9.0-1.
#include "gateway/broker/outgoing.hpp"

#include <catch2/catch.hpp>

#include <string>
#include <utility>

namespace milepost::broker {
namespace {

using mqtt::PacketId;
using mqtt::Qos;
using Acked = Outgoing::Acked;

MessagePtr message(const std::string& payload) {
    mqtt::Publish publish;
    publish.topic = "t";
    publish.payload = as_bytes(payload);
    return make_message(publish, Timestamp{0});
}

PacketId queue(Outgoing& outgoing, Qos qos, const std::string& payload = "x") {
    Delivery delivery;
    delivery.message = message(payload);
    delivery.qos = qos;
    const auto id = outgoing.reserve(qos, delivery.message->bytes());
    REQUIRE(id);
    delivery.packet_id = *id;
    outgoing.put(std::move(delivery));
    return *id;
}

TEST_CASE("outgoing: QoS 1 waits for its PUBACK, and for the window", "[broker]") {
    Outgoing outgoing{{}};
    const PacketId first = queue(outgoing, Qos::at_least_once);
    const PacketId second = queue(outgoing, Qos::at_least_once);
    CHECK((first == 1 && second == 2));
    REQUIRE(outgoing.next(1) != nullptr);
    outgoing.sent();
    CHECK(outgoing.next(1) == nullptr);
    CHECK(outgoing.puback(second) == Acked::unknown);  // not sent yet
    CHECK(outgoing.pubrec(first, false) == Acked::unknown);
    CHECK(outgoing.puback(first) == Acked::done);
    CHECK(outgoing.puback(first) == Acked::unknown);
    REQUIRE(outgoing.next(1) != nullptr);
    CHECK(outgoing.next(1)->packet_id == second);
}

TEST_CASE("outgoing: QoS 2 releases when it is durable that the device has it", "[broker]") {
    Outgoing outgoing{{}};
    const PacketId id = queue(outgoing, Qos::exactly_once);
    outgoing.sent();
    CHECK(outgoing.puback(id) == Acked::unknown);
    CHECK(outgoing.pubcomp(id) == Acked::unknown);
    CHECK(outgoing.pubrec(id, false) == Acked::received);
    CHECK(outgoing.pubrec(id, false) == Acked::waits);
    CHECK(outgoing.released(id));
    CHECK_FALSE(outgoing.released(id));
    CHECK(outgoing.pubrec(id, false) == Acked::release_again);
    CHECK(outgoing.pubcomp(id) == Acked::done);
    CHECK(outgoing.size() == 0);
    CHECK(outgoing.bytes() == 0);
}

TEST_CASE("outgoing: a PUBREC that refuses ends a QoS 2 message", "[broker]") {
    Outgoing outgoing{{}};
    const PacketId id = queue(outgoing, Qos::exactly_once);
    outgoing.sent();
    CHECK(outgoing.pubrec(id, true) == Acked::done);
    CHECK(outgoing.size() == 0);
}

TEST_CASE("outgoing: after a cut everything comes again in order, QoS 0 does not", "[broker]") {
    Outgoing outgoing{{}};
    const PacketId first = queue(outgoing, Qos::at_least_once);
    const PacketId second = queue(outgoing, Qos::exactly_once);
    queue(outgoing, Qos::at_most_once);
    const PacketId third = queue(outgoing, Qos::at_least_once);
    outgoing.sent();
    outgoing.sent();
    CHECK(outgoing.pubrec(second, false) == Acked::received);
    CHECK(outgoing.released(second));
    outgoing.interrupt();
    REQUIRE(outgoing.next(10) != nullptr);
    CHECK((outgoing.next(10)->packet_id == first && outgoing.next(10)->dup));
    outgoing.sent();
    CHECK(outgoing.next(10)->packet_id == second);
    CHECK(outgoing.next(10)->state == Delivery::State::released);
    outgoing.sent();
    CHECK((outgoing.next(10)->packet_id == third && !outgoing.next(10)->dup));
    CHECK(outgoing.pubcomp(second) == Acked::done);
}

TEST_CASE("outgoing: is bounded in messages and in bytes", "[broker]") {
    const std::size_t bytes = message("x")->bytes();
    Outgoing few{{.messages_max = 2, .bytes_max = 100 * bytes}};
    queue(few, Qos::at_most_once);
    CHECK(few.reserve(Qos::at_least_once, bytes));
    CHECK_FALSE(few.reserve(Qos::at_most_once, bytes));
    few.cancel(Qos::at_least_once, bytes);
    CHECK(few.reserve(Qos::at_least_once, bytes));
    Outgoing small{{.messages_max = 100, .bytes_max = 2 * bytes}};
    queue(small, Qos::at_least_once);
    queue(small, Qos::at_least_once);
    CHECK_FALSE(small.reserve(Qos::at_least_once, bytes));
    static_cast<void>(small.drop_next());
    CHECK(small.reserve(Qos::at_least_once, bytes));
}

TEST_CASE("outgoing: no packet id is given twice while it is in use", "[broker]") {
    Outgoing outgoing{{.messages_max = 100'000, .bytes_max = 1UL << 40U}};
    const PacketId stuck = queue(outgoing, Qos::at_least_once);
    outgoing.sent();
    for (int i = 0; i < 0xFFFE; ++i) {
        const PacketId id = queue(outgoing, Qos::at_least_once);
        REQUIRE(id != stuck);
        outgoing.sent();
        REQUIRE(outgoing.puback(id) == Acked::done);
    }
    CHECK_FALSE(outgoing.reserve(Qos::at_least_once, 1));
    CHECK(outgoing.reserve(Qos::at_most_once, 1) == PacketId{0});
    CHECK(outgoing.puback(stuck) == Acked::done);
    CHECK(outgoing.reserve(Qos::at_least_once, 1) == stuck);
}

TEST_CASE("outgoing: what is from before a restart is sent with DUP, ids go on", "[broker]") {
    Outgoing outgoing{{}};
    Delivery delivery;
    delivery.message = message("x");
    delivery.qos = Qos::at_least_once;
    delivery.packet_id = 0xFFFF;
    outgoing.restore(delivery);
    CHECK(outgoing.next(1)->dup);
    CHECK(queue(outgoing, Qos::at_least_once) == 1);
}

}  // namespace
}  // namespace milepost::broker
