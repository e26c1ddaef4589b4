// Subscribers on real sockets, over a disk that forgets what was not synced.
#include "gateway/mqtt/encode.hpp"
#include "gateway/mqtt/frame_reader.hpp"
#include "gateway/mqtt/wire_reader.hpp"
#include "tests/component/front_door/door.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace milepost {

namespace {

using mqtt::PacketId;
using mqtt::PacketType;
using mqtt::ProtocolLevel;
using mqtt::Qos;
using test::Device;
using test::Door;
using test::FoldingKeeper;
using test::ForgetfulDisk;

std::string text(const Buffer& bytes) {
    return std::string{as_text(bytes)};
}

std::string connect(ProtocolLevel level, std::string_view id, bool clean, Bytes properties = {}) {
    mqtt::Connect connect;
    connect.level = level;
    connect.client_id = id;
    connect.clean_start = clean;
    connect.properties = properties;
    Buffer bytes;
    mqtt::encode_connect(bytes, connect);
    return text(bytes);
}

std::string subscribe(
    ProtocolLevel level,
    std::vector<mqtt::Subscription> wanted,
    Bytes properties = {}
) {
    Buffer bytes;
    mqtt::encode_subscribe(bytes, level, 9, wanted, properties);
    return text(bytes);
}

std::string publish(
    std::string_view topic,
    std::string_view payload,
    PacketId id = 0,
    bool retain = false,
    ProtocolLevel level = ProtocolLevel::v3_1_1,
    Bytes properties = {}
) {
    mqtt::Publish publish;
    publish.topic = topic;
    publish.payload = as_bytes(payload);
    publish.qos = id == 0 ? Qos::at_most_once : Qos::at_least_once;
    publish.ticket.packet_id = id;
    publish.retain = retain;
    publish.properties = properties;
    Buffer bytes;
    mqtt::encode_publish(bytes, level, publish);
    return text(bytes);
}

std::string ack(PacketType type, PacketId id) {
    Buffer bytes;
    mqtt::encode_ack(bytes, ProtocolLevel::v3_1_1, type, {id, mqtt::ReasonCode::success});
    return text(bytes);
}

// A subscriber's side: understands what it is sent.
class Listening {
public:
    Listening(Door& door, ProtocolLevel level)
        : door_(&door)
        , device_(door)
        , level_(level) {}

    void connect(std::string_view id, bool clean, Bytes properties = {}) {
        device_.send(milepost::connect(level_, id, clean, properties));
        REQUIRE(next().type() == PacketType::connack);
    }

    std::string subscribe(std::vector<mqtt::Subscription> wanted, Bytes properties = {}) {
        device_.send(milepost::subscribe(level_, std::move(wanted), properties));
        const auto suback = next();
        REQUIRE(suback.type() == PacketType::suback);
        const std::size_t head = level_ == ProtocolLevel::v5 ? 3 : 2;
        return std::string{as_text(suback.body.subspan(head))};
    }

    void send(const std::string& bytes) { device_.send(bytes); }

    // The next packet; valid until the one after it.
    mqtt::Frame next() {
        heard_.erase(0, used_);
        used_ = 0;
        mqtt::FrameResult result;
        REQUIRE(door_->turn_until([&] {
            heard_ += device_.heard();
            device_.forget();
            result = mqtt::read_frame(as_bytes(heard_), 1 << 20);
            return result.status == mqtt::FrameStatus::whole;
        }));
        used_ = result.bytes;
        return result.frame;
    }

    // The next PUBLISH; views are valid until the next call. A gateway's carries identifiers of
    // subscriptions, which the decoder of what a device sends does not take.
    mqtt::Publish published() {
        const mqtt::Frame frame = next();
        REQUIRE(frame.type() == PacketType::publish);
        mqtt::Publish publish;
        mqtt::WireReader reader{frame.body};
        publish.topic = reader.text();
        publish.qos = static_cast<Qos>((frame.flags() >> 1U) & 3U);
        publish.retain = (frame.flags() & 1U) != 0;
        publish.dup = (frame.flags() & 8U) != 0;
        if (publish.qos != Qos::at_most_once) publish.ticket.packet_id = reader.two_bytes();
        if (level_ == ProtocolLevel::v5) publish.properties = reader.properties();
        publish.payload = reader.rest();
        REQUIRE(reader.error() == mqtt::Errc::none);
        return publish;
    }

    // Whether the next packet is a PUBLISH with that payload, which is acknowledged.
    bool gets(std::string_view payload) {
        const mqtt::Publish got = published();
        const bool is_it = as_text(got.payload) == payload;
        if (got.qos == Qos::at_least_once) send(ack(PacketType::puback, got.ticket.packet_id));
        return is_it;
    }

    // Nothing has come but the answer to a ping.
    bool hears_nothing() {
        device_.send(std::string{"\xC0\0", 2});
        return next().type() == PacketType::pingresp;
    }

    Device& device() { return device_; }

private:
    Door* door_;
    Device device_;
    std::string heard_;
    std::size_t used_ = 0;
    ProtocolLevel level_;
};

constexpr auto v3 = ProtocolLevel::v3_1_1;
constexpr auto v5 = ProtocolLevel::v5;

Buffer expiry(std::uint32_t seconds) {
    Buffer properties;
    mqtt::append_number_property(properties, mqtt::PropertyId::session_expiry_interval, seconds);
    return properties;
}

}  // namespace

TEST_CASE(
    "subscribe: a message comes at the lower QoS of publish and subscription",
    "[front_door]"
) {
    ForgetfulDisk disk;
    FoldingKeeper keeper;
    Door door{disk, keeper};
    for (const auto level : {v3, v5}) {
        Listening listening{door, level};
        listening.connect("sub", /*clean=*/true);
        CHECK(
            listening.subscribe({{"a/+", Qos::at_least_once}, {"b/#", Qos::at_most_once}}) ==
            std::string{"\1\0", 2}
        );
        Device device{door};
        device.connect("pub", /*clean=*/true);
        device.send(publish("a/1", "one", 1) + publish("b", "two", 2) + publish("c", "three", 3));
        device.send(publish("a/2", "four", 0));
        REQUIRE(device.hears(Device::puback(3)));
        auto got = listening.published();
        CHECK((got.topic == "a/1" && got.qos == Qos::at_least_once && !got.dup && !got.retain));
        listening.send(ack(PacketType::puback, got.ticket.packet_id));
        got = listening.published();
        CHECK((got.topic == "b" && got.qos == Qos::at_most_once));
        got = listening.published();
        CHECK((as_text(got.payload) == "four" && got.qos == Qos::at_most_once));
        CHECK(listening.hears_nothing());
    }
}

TEST_CASE("subscribe: what is not served is refused in its own code", "[front_door]") {
    ForgetfulDisk disk;
    FoldingKeeper keeper;
    Door door{disk, keeper};
    Listening modern{door, v5};
    modern.connect("five", /*clean=*/true);
    CHECK(modern.subscribe({{"$share/g/a"}, {"$SYS/#"}, {"a"}}) == std::string{"\x9E\x8F\0", 3});
    Listening older{door, v3};
    older.connect("three", /*clean=*/true);
    CHECK(older.subscribe({{"$share/g/a"}, {"$SYS/#"}, {"a"}}) == std::string{"\x80\x80\0", 3});
}

TEST_CASE("subscribe: nobody hears of what is not durable", "[front_door]") {
    ForgetfulDisk disk;
    FoldingKeeper keeper;
    Door door{disk, keeper, {.commit_interval = std::chrono::hours{1}}};
    door.commits_by_hand = true;
    Listening listening{door, v3};
    listening.connect("sub", /*clean=*/true);
    listening.subscribe({{"#", Qos::at_most_once}});
    Device device{door};
    device.send(Device::connect_packet("pub", true));
    REQUIRE(device.hears(std::string{"\x20\x02\0\0", 4}));
    const std::string bytes = publish("a", "secret", 1);
    device.send(bytes);
    REQUIRE(door.turn_until_read(bytes.size()));
    door.turn_until_idle();
    CHECK(listening.device().heard().empty());
    CHECK(listening.gets("secret"));  // turns, and commits
}

TEST_CASE("subscribe: QoS 2 goes through PUBREC, PUBREL and PUBCOMP", "[front_door]") {
    ForgetfulDisk disk;
    FoldingKeeper keeper;
    Door door{disk, keeper};
    Listening listening{door, v3};
    listening.connect("sub", /*clean=*/false);
    CHECK(listening.subscribe({{"a", Qos::exactly_once}}) == "\2");
    Device device{door};
    device.connect("pub", /*clean=*/true);
    std::string bytes = publish("a", "once", 7);
    bytes[0] = '\x34';
    device.send(bytes);
    REQUIRE(device.hears(ack(PacketType::pubrec, 7)));
    const auto got = listening.published();
    CHECK(got.qos == Qos::exactly_once);
    const PacketId id = got.ticket.packet_id;
    listening.send(ack(PacketType::pubrec, id));
    CHECK(listening.next().type() == PacketType::pubrel);
    listening.send(ack(PacketType::pubrec, id));  // once more: PUBREL once more
    CHECK(listening.next().type() == PacketType::pubrel);
    listening.send(ack(PacketType::pubcomp, id));
    CHECK(listening.hears_nothing());
}

TEST_CASE("subscribe: retained messages come to new subscriptions, and survive", "[front_door]") {
    ForgetfulDisk disk;
    FoldingKeeper keeper;
    const bool is_cut = GENERATE(false, true);
    {
        Door door{disk, keeper};
        Device device{door};
        device.connect("pub", /*clean=*/true);
        device.send(publish("a/1", "old", 1, true) + publish("a/1", "kept", 2, true));
        device.send(publish("a/2", "gone", 3, true) + publish("a/2", "", 4, true));
        device.send(publish("a/3", "plain", 5));
        REQUIRE(device.hears(Device::puback(5)));
        if (is_cut) disk.power_cut();
    }
    Door door{disk, keeper};
    for (const auto level : {v3, v5}) {
        Listening listening{door, level};
        listening.connect("sub", /*clean=*/true);
        listening.subscribe({{"a/#", Qos::at_least_once}});
        const auto got = listening.published();
        CHECK((as_text(got.payload) == "kept" && got.retain && got.qos == Qos::at_least_once));
        listening.send(ack(PacketType::puback, got.ticket.packet_id));
        CHECK(listening.hears_nothing());
        if (level == v3) continue;
        listening.subscribe({{"a/#", Qos::at_most_once, false, false, 1}});  // known: not again
        CHECK(listening.hears_nothing());
        listening.subscribe({{"a/+", Qos::at_most_once, false, false, 2}});
        CHECK(listening.hears_nothing());
    }
}

TEST_CASE("subscribe: thousands of retained messages all come", "[front_door]") {
    ForgetfulDisk disk;
    FoldingKeeper keeper;
    Door door{disk, keeper};
    Device device{door};
    device.connect("pub", /*clean=*/true);
    constexpr PacketId count = 2'000;
    for (PacketId i = 1; i <= count; ++i) {
        device.send(publish("r/" + std::to_string(i), "x", i, true));
        if (i % 50 == 0) REQUIRE(device.hears(Device::puback(i)));
    }
    for (const auto qos : {Qos::at_most_once, Qos::at_least_once}) {
        Listening listening{door, v3};
        listening.connect("sub", qos == Qos::at_most_once);
        listening.subscribe({{"r/#", qos}});
        for (PacketId i = 1; i <= count; ++i)
            REQUIRE(listening.gets("x"));
        CHECK(listening.hears_nothing());
    }
}

TEST_CASE("subscribe: no local, retain as published, identifiers, properties", "[front_door]") {
    ForgetfulDisk disk;
    FoldingKeeper keeper;
    Door door{disk, keeper};
    Listening listening{door, v5};
    listening.connect("sub", /*clean=*/true);
    Buffer identifier;
    mqtt::append_number_property(identifier, mqtt::PropertyId::subscription_identifier, 300);
    listening.subscribe({{"a", Qos::at_least_once, true, true}}, identifier);
    listening.send(publish("a", "mine", 1, false, v5));
    CHECK(listening.next().type() == PacketType::puback);
    CHECK(listening.hears_nothing());
    Listening other{door, v5};
    other.connect("pub", /*clean=*/true);
    Buffer properties;
    mqtt::append_number_property(properties, mqtt::PropertyId::message_expiry_interval, 1000);
    mqtt::append_text_property(properties, mqtt::PropertyId::content_type, "text/plain");
    mqtt::append_user_property(properties, "k", "v");
    other.send(publish("a", "theirs", 1, true, v5, properties));
    const auto got = listening.published();
    CHECK((as_text(got.payload) == "theirs" && got.retain));
    CHECK(mqtt::find_number(got.properties, mqtt::PropertyId::subscription_identifier) == 300U);
    CHECK(mqtt::find_number(got.properties, mqtt::PropertyId::message_expiry_interval) <= 1000U);
    CHECK(mqtt::message_properties(got.properties).content_type == "text/plain");
    CHECK(mqtt::message_properties(got.properties).has_user_properties);
}

TEST_CASE("subscribe: UNSUBSCRIBE ends it", "[front_door]") {
    ForgetfulDisk disk;
    FoldingKeeper keeper;
    Door door{disk, keeper};
    Listening listening{door, v5};
    listening.connect("sub", /*clean=*/true);
    listening.subscribe({{"a/#", Qos::at_most_once}});
    Buffer unsubscribe;
    const std::vector<std::string_view> filters = {"a/#", "never"};
    mqtt::encode_unsubscribe(unsubscribe, v5, 5, filters);
    listening.send(text(unsubscribe));
    const auto unsuback = listening.next();
    CHECK(as_text(unsuback.body) == std::string_view{"\0\5\0\0\x11", 5});
    Device device{door};
    device.connect("pub", /*clean=*/true);
    device.send(publish("a/1", "x", 1));
    REQUIRE(device.hears(Device::puback(1)));
    CHECK(listening.hears_nothing());
}

// What was acknowledged to the publisher is owed to the subscriber: over a disconnect, a stop of
// the gateway, and a power cut.
TEST_CASE("subscribe: a kept session gets what came while it was away", "[front_door]") {
    ForgetfulDisk disk;
    FoldingKeeper keeper;
    enum class Way { disconnect, stop, power_cut };
    const auto way = GENERATE(Way::disconnect, Way::stop, Way::power_cut);
    std::optional<Door> door{std::in_place, disk, keeper};
    {
        Listening listening{*door, v5};
        const Buffer kept = expiry(1000);
        listening.connect("sub", /*clean=*/true, kept);
        listening.subscribe({{"a/#", Qos::at_least_once}});
    }
    {
        Device device{*door};
        device.connect("pub", /*clean=*/true);
        for (PacketId i = 1; i <= 20; ++i)
            device.send(publish("a/1", std::to_string(i), i));
        REQUIRE(device.hears(Device::puback(20)));
    }
    if (way == Way::stop) REQUIRE(door->log->close());
    if (way == Way::power_cut) disk.power_cut();
    if (way != Way::disconnect) door.emplace(disk, keeper);
    {
        // Half of them, not all acknowledged.
        Listening listening{*door, v5};
        const Buffer kept = expiry(1000);
        listening.connect("sub", /*clean=*/false, kept);
        for (int i = 1; i <= 10; ++i)
            REQUIRE(listening.gets(std::to_string(i)));
        CHECK(as_text(listening.published().payload) == "11");
        CHECK(listening.device().heard().size() < 1'000'000);
        listening.send(std::string{"\xC0\0", 2});
        while (listening.next().type() != PacketType::pingresp) {
        }
    }
    if (way == Way::power_cut) {
        disk.power_cut();
        door.emplace(disk, keeper);
    }
    Listening listening{*door, v5};
    const Buffer kept = expiry(1000);
    listening.connect("sub", /*clean=*/false, kept);
    // After a power cut acknowledged ones may come again: at least once.
    auto got = listening.published();
    while (way == Way::power_cut && as_text(got.payload) != "11") {
        CHECK(got.dup);
        listening.send(ack(PacketType::puback, got.ticket.packet_id));
        got = listening.published();
    }
    CHECK((as_text(got.payload) == "11" && got.dup));
    listening.send(ack(PacketType::puback, got.ticket.packet_id));
    for (int i = 12; i <= 20; ++i)
        REQUIRE(listening.gets(std::to_string(i)));
    CHECK(listening.hears_nothing());
}

// The subscriber's side of QoS 2, cut or killed after every packet: it has each message once.
TEST_CASE("subscribe: QoS 2 is exactly once over cuts and power cuts", "[front_door]") {
    const bool is_power_cut = GENERATE(false, true);
    for (int cut_after = 0; cut_after < 6; ++cut_after) {
        INFO("cut after " << cut_after << (is_power_cut ? " with the power" : ""));
        ForgetfulDisk disk;
        FoldingKeeper keeper;
        std::optional<Door> door{std::in_place, disk, keeper};
        int messages = 0;
        std::optional<PacketId> held;  // what MQTT makes the subscriber remember
        int packets = 0;
        bool is_done = false;
        const auto run = [&](bool is_first) {
            Listening listening{*door, v3};
            listening.connect("sub", /*clean=*/false);
            if (is_first) {
                listening.subscribe({{"a", Qos::exactly_once}});
                Device device{*door};
                device.connect("pub", /*clean=*/true);
                std::string bytes = publish("a", "once", 7);
                bytes[0] = '\x34';
                device.send(bytes);
                REQUIRE(device.hears(ack(PacketType::pubrec, 7)));
            }
            while (!is_done) {
                if (is_first && packets++ == cut_after) return;
                const auto frame = listening.next();
                if (frame.type() == PacketType::publish) {
                    mqtt::Publish got;
                    REQUIRE(mqtt::decode_publish(frame, v3, got) == mqtt::Errc::none);
                    if (held != got.ticket.packet_id) ++messages;
                    held = got.ticket.packet_id;
                    if (is_first && packets++ == cut_after) return;
                    listening.send(ack(PacketType::pubrec, *held));
                } else {
                    REQUIRE(frame.type() == PacketType::pubrel);
                    const PacketId id = load_big<PacketId>(frame.body.data());
                    held.reset();
                    if (is_first && packets++ == cut_after) return;
                    listening.send(ack(PacketType::pubcomp, id));
                    if (is_first && packets++ == cut_after) {
                        is_done = true;
                        return;
                    }
                    CHECK(listening.hears_nothing());
                    is_done = true;
                }
            }
        };
        run(/*is_first=*/true);
        if (is_power_cut) {
            disk.power_cut();
            door.emplace(disk, keeper);
        }
        if (!is_done) run(/*is_first=*/false);
        CHECK(messages == 1);
        Listening listening{*door, v3};
        listening.connect("sub", /*clean=*/false);
        CHECK(messages == 1);
    }
}

TEST_CASE(
    "subscribe: one that does not read holds nobody up and takes bounded memory",
    "[front_door]"
) {
    ForgetfulDisk disk;
    FoldingKeeper keeper;
    Door door{disk, keeper};
    Listening listening{door, v3};
    listening.connect("sub", /*clean=*/GENERATE(true, false));
    listening.subscribe({{"a", Qos::at_least_once}});
    Device device{door};
    device.connect("pub", /*clean=*/true);
    const std::string payload(10'000, 'x');
    constexpr int rounds = 60;
    constexpr PacketId window = 20;
    for (int round = 0; round < rounds; ++round) {
        std::string bytes;
        for (PacketId i = 1; i <= window; ++i)
            bytes += publish("a", payload, i);
        device.send(bytes);
        for (PacketId i = 1; i <= window; ++i)
            REQUIRE(device.takes(Device::puback(i)));
    }
    const auto& stats = door.listener->stats();
    CHECK(stats.dropped_deliveries.value() > 0);
    // What it is sent in the end is what its queue held and what the sockets took.
    const auto sent = stats.deliveries.value();
    CHECK(sent < rounds * window);
    std::uint64_t got = 0;
    while (got < 50) {
        REQUIRE(listening.gets(payload));
        ++got;
    }
}

}  // namespace milepost
