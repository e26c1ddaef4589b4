#include "gateway/bridge/inbound_store.hpp"

#include "gateway/mqtt/decode.hpp"
#include "gateway/mqtt/frame_reader.hpp"

#include <catch2/catch.hpp>

namespace milepost::bridge {

namespace {

struct Fixture {
    explicit Fixture(mqtt::ProtocolLevel level = mqtt::ProtocolLevel::v3_1_1)
        : store(
              level,
              100,
              {[this](Bytes packet) { packets.emplace_back(as_text(packet)); },
               [this](mqtt::PacketId id) { released.push_back(id); },
               [this] { return unreleased; },
               [this] {
                   ++complaints;
               }}
          ) {}

    std::vector<std::string> packets;
    std::vector<mqtt::PacketId> released;
    std::vector<mqtt::PacketId> unreleased;
    int complaints = 0;
    InboundStore store;
};

}  // namespace

TEST_CASE("only keys of inbound QoS 2 publishes have a packet id") {
    CHECK(InboundStore::id_of("r-1") == 1);
    CHECK(InboundStore::id_of("r5-65535") == 65535);
    for (const auto* key :
         {"c-1", "s-1", "sc-1", "q-1", "r-", "r-0", "r-65536", "r-1x", "r--1", ""}) {
        CHECK_FALSE(InboundStore::id_of(key));
    }
}

TEST_CASE("what is put is handed on, and what is removed released; Paho's own commands are not") {
    Fixture fixture;
    fixture.store.put("c-1", as_bytes("subscribe"));
    fixture.store.remove("c-1");
    fixture.store.put("r-7", as_bytes("packet"));
    fixture.store.remove("r-7");
    CHECK(fixture.packets == std::vector<std::string>{"packet"});
    CHECK(fixture.released == std::vector<mqtt::PacketId>{7});
}

TEST_CASE("what waits is given back as a publish that Paho can read") {
    for (const auto level : {mqtt::ProtocolLevel::v3_1_1, mqtt::ProtocolLevel::v5}) {
        Fixture fixture{level};
        fixture.unreleased = {3, 300};
        const auto keys = fixture.store.keys();
        REQUIRE(keys.size() == 2);
        CHECK(InboundStore::id_of(keys[1]) == 300);
        CHECK(fixture.store.contains(keys[1]));
        CHECK_FALSE(fixture.store.contains("r-4"));
        const std::string packet = fixture.store.get(keys[1]);
        const auto framed = mqtt::read_frame(as_bytes(packet), 1000);
        REQUIRE(framed.status == mqtt::FrameStatus::whole);
        mqtt::Publish publish;
        CHECK(mqtt::decode_publish(framed.frame, level, publish) == mqtt::Errc::none);
        CHECK(publish.qos == mqtt::Qos::exactly_once);
        CHECK(publish.ticket.packet_id == 300);
    }
}

TEST_CASE("payloads that are held above the limit are complained of until they are released") {
    Fixture fixture;
    const std::string packet(60, 'x');
    fixture.store.put("r-1", as_bytes(packet));
    fixture.store.put("r-1", as_bytes(packet));  // again: held once
    CHECK(fixture.complaints == 0);
    fixture.store.put("r-2", as_bytes(packet));
    CHECK(fixture.complaints == 1);
    fixture.store.remove("r-1");
    fixture.store.remove("r-2");
    fixture.store.put("r-3", as_bytes(packet));
    CHECK(fixture.complaints == 1);
    fixture.store.put("r-4", as_bytes(packet));
    CHECK(fixture.complaints == 2);
    fixture.store.forget_payloads();
    fixture.store.put("r-5", as_bytes(packet));
    CHECK(fixture.complaints == 2);
}

}  // namespace milepost::bridge
