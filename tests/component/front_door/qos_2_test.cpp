// Exactly once into the log: the connection cut, the gateway killed, and the power gone, at each of
// the four steps of QoS 2 on each side, with and without DUP; and QoS 1 retransmissions with DUP.
// Holds MQTT-3.1.2-4 to -6, 4.3.3-8 to -13, 4.4.0-1 (3.1.1: MQTT-3.1.2-4, -5, 4.3.3-2, 4.4.0-1).
#include "gateway/mqtt/encode.hpp"
#include "tests/component/front_door/door.hpp"

#include <initializer_list>
#include <set>
#include <string>
#include <vector>

namespace milepost {

namespace {

using mqtt::PacketType;
using mqtt::ProtocolLevel;
using mqtt::Qos;
using test::Device;
using test::Door;
using test::FoldingKeeper;
using test::ForgetfulDisk;

constexpr auto by_hand = std::chrono::hours{24};

std::string text(const Buffer& bytes) {
    return std::string{as_text(bytes)};
}

std::string ack(PacketType type, std::uint16_t id) {
    Buffer bytes;
    mqtt::encode_ack(bytes, ProtocolLevel::v3_1_1, type, {id, mqtt::ReasonCode::success});
    return text(bytes);
}

std::string connect_packet(ProtocolLevel level) {
    Buffer properties;
    mqtt::append_number_property(
        properties,
        mqtt::PropertyId::session_expiry_interval,
        mqtt::session_expiry_never
    );
    mqtt::Connect connect;
    connect.level = level;
    connect.client_id = "V1";
    if (level == ProtocolLevel::v5) connect.properties = properties;
    Buffer bytes;
    mqtt::encode_connect(bytes, connect);
    return text(bytes);
}

struct Message {
    std::uint16_t id = 0;
    std::string value;
    // What its sender knows; a QoS 1 publish goes from published to done.
    enum class Stage { unsent, published, received, done } stage = Stage::unsent;
};

std::string publish_packet(ProtocolLevel level, Qos qos, const Message& message, bool dup) {
    mqtt::Publish publish;
    publish.topic = "vehicles/V1/telemetry";
    publish.payload = as_bytes(message.value);
    publish.ticket.packet_id = message.id;
    publish.qos = qos;
    publish.dup = dup;
    Buffer bytes;
    mqtt::encode_publish(bytes, level, publish);
    return text(bytes);
}

// Where a conversation is interrupted. Each packet: sent and not read, or read and not durable, or
// answered.
enum class Step {
    nothing_sent,
    publish_sent,
    publish_read,
    pubrec_sent,
    pubrec_read,
    pubrel_sent,
    pubrel_read,
    pubcomp_sent,
    pubcomp_read,
};
constexpr int qos_2_steps = 9;
constexpr int qos_1_steps = 5;  // its PUBACK in the place of PUBREC

enum class End { cut, kill, power_cut };

struct Case {
    Qos qos = Qos::exactly_once;
    Step step = Step::nothing_sent;
    End end = End::cut;
    bool dup = true;
    ProtocolLevel level = ProtocolLevel::v3_1_1;
    std::uint16_t before = 0;  // messages whose PUBREL (PUBACK) is outstanding when it happens
};

// A device with a session of its own that nothing can take from it.
class Vehicle {
public:
    explicit Vehicle(const Case& now)
        : case_(now)
        , disk_(1 + now.before)
        , first_answer_(now.qos == Qos::exactly_once ? PacketType::pubrec : PacketType::puback) {}

    // True: every message is in the log exactly once.
    bool plays() {
        start(/*expect_present=*/false);
        for (std::uint16_t i = 1; i <= case_.before; ++i) {
            Message& message = add(i, "before-" + std::to_string(i));
            send_publish(message, /*dup=*/false);
            if (!device_->takes(ack(first_answer_, i))) return false;
            if (case_.qos == Qos::exactly_once) message.stage = Message::Stage::received;
        }
        const auto id = static_cast<std::uint16_t>(case_.before + 1);
        go_until_the_step(add(id, "reading"));
        interrupt();
        start(/*expect_present=*/true);
        for (Message& message : messages_) {
            if (!finish(message, case_.dup)) return false;
        }
        // The packet id is free: the same content under it is a new reading.
        for (std::uint16_t i = 1; i <= id; ++i) {
            if (!finish(add(i, messages_[i - 1U].value), /*dup=*/false)) return false;
        }
        std::multiset<std::string> sent;
        for (const Message& message : messages_)
            sent.insert(message.value);
        return door_->values() == sent;
    }

private:
    void start(bool expect_present) {
        if (!door_) {
            door_ = std::make_unique<Door>(disk_, keeper_, Door::Rules{.commit_interval = by_hand});
            door_->commits_by_hand = true;
        }
        device_ = std::make_unique<Device>(*door_);
        device_->send(connect_packet(case_.level));
        std::string connack = case_.level == ProtocolLevel::v5 ? "\x20\x10" : "\x20\x02";
        connack += expect_present ? '\1' : '\0';
        REQUIRE(device_->takes(connack + '\0'));
    }

    Message& add(std::uint16_t id, const std::string& value) {
        return messages_.emplace_back(Message{id, value});
    }

    void send_publish(Message& message, bool dup) {
        device_->send(publish_packet(case_.level, case_.qos, message, dup));
        message.stage = Message::Stage::published;
    }

    void go_until_the_step(Message& message) {
        if (case_.step == Step::nothing_sent) return;
        const auto publish = publish_packet(case_.level, case_.qos, message, false);
        send_publish(message, false);
        if (case_.step == Step::publish_sent) return;
        REQUIRE(door_->turn_until_read(publish.size()));
        if (case_.step == Step::publish_read) return;
        door_->log->commit();
        if (case_.step == Step::pubrec_sent) return;
        REQUIRE(device_->takes(ack(first_answer_, message.id)));
        const bool is_last = case_.qos == Qos::at_least_once;
        message.stage = is_last ? Message::Stage::done : Message::Stage::received;
        if (case_.step == Step::pubrec_read) return;
        const auto pubrel = ack(PacketType::pubrel, message.id);
        device_->send(pubrel);
        if (case_.step == Step::pubrel_sent) return;
        REQUIRE(door_->turn_until_read(pubrel.size()));
        if (case_.step == Step::pubrel_read) return;
        door_->log->commit();
        if (case_.step == Step::pubcomp_sent) return;
        REQUIRE(device_->takes(ack(PacketType::pubcomp, message.id)));
        message.stage = Message::Stage::done;
    }

    void interrupt() {
        if (case_.end == End::power_cut) disk_.power_cut();
        device_.reset();  // its socket is the door's; nobody turns the loop meanwhile
        if (case_.end != End::cut) door_.reset();
        // The gateway has noticed, or the new connection takes the old one over.
        if (door_ && case_.before % 2 == 0) door_->turn_until_idle();
    }

    bool finish(Message& message, bool dup) {
        if (message.stage == Message::Stage::done) return true;
        if (message.stage != Message::Stage::received) {
            send_publish(message, dup && message.stage == Message::Stage::published);
            if (!device_->takes(ack(first_answer_, message.id))) return false;
            message.stage = Message::Stage::done;
            if (case_.qos == Qos::at_least_once) return true;
        }
        device_->send(ack(PacketType::pubrel, message.id));
        // 5.0 says so if it does not know the packet id any more.
        const std::string pubcomp = ack(PacketType::pubcomp, message.id);
        const std::string unknown = "\x70\x03" + pubcomp.substr(2) + '\x92';
        const bool has = door_->turn_until([&] {
            const std::string& heard = device_->heard();
            return heard.find(pubcomp) != std::string::npos ||
                   heard.find(unknown) != std::string::npos;
        });
        message.stage = Message::Stage::done;
        return has &&
               (device_->heard().find(pubcomp) == std::string::npos ? device_->takes(unknown)
                                                                    : device_->takes(pubcomp));
    }

    Case case_;
    ForgetfulDisk disk_;
    FoldingKeeper keeper_;
    PacketType first_answer_;
    std::vector<Message> messages_;
    std::unique_ptr<Door> door_;
    std::unique_ptr<Device> device_;
};

// Every combination, the steps up to `steps`.
std::vector<Case> all_cases(Qos qos, int steps) {
    std::vector<Case> cases;
    const auto add = [&](ProtocolLevel level, End end, int step) {
        for (const std::uint16_t before : std::initializer_list<std::uint16_t>{0, 1, 2, 7}) {
            cases.push_back({qos, static_cast<Step>(step), end, /*dup=*/true, level, before});
            // Without DUP a QoS 1 publish cannot be told from a new one.
            if (qos == Qos::at_least_once) continue;
            cases.push_back(cases.back());
            cases.back().dup = false;
        }
    };
    for (const ProtocolLevel level : {ProtocolLevel::v3_1_1, ProtocolLevel::v5}) {
        for (const End end : {End::cut, End::kill, End::power_cut}) {
            for (int step = 0; step < steps; ++step)
                add(level, end, step);
        }
    }
    return cases;
}

std::size_t not_exactly_once(const std::vector<Case>& cases) {
    std::size_t broken = 0;
    for (const Case& now : cases) {
        if (Vehicle{now}.plays()) continue;
        ++broken;
        UNSCOPED_INFO(
            "MQTT " << static_cast<int>(now.level) << ", step " << static_cast<int>(now.step)
                    << ", end " << static_cast<int>(now.end) << ", dup " << now.dup << ", before "
                    << now.before
        );
    }
    return broken;
}

}  // namespace

TEST_CASE("front door: QoS 2 is exactly once, wherever it is interrupted", "[front_door][qos_2]") {
    const auto cases = all_cases(Qos::exactly_once, qos_2_steps);
    CHECK(cases.size() == 432);
    CHECK(not_exactly_once(cases) == 0);
}

TEST_CASE("front door: a QoS 1 retransmission is not written twice", "[front_door][qos_2]") {
    const auto cases = all_cases(Qos::at_least_once, qos_1_steps);
    CHECK(cases.size() == 120);
    CHECK(not_exactly_once(cases) == 0);
}

namespace {

std::string qos_2(std::uint16_t id, const std::string& value) {
    return publish_packet(ProtocolLevel::v3_1_1, Qos::exactly_once, {id, value}, /*dup=*/false);
}

}  // namespace

TEST_CASE("front door: a duplicate is not acknowledged before its first copy", "[front_door]") {
    ForgetfulDisk disk;
    FoldingKeeper keeper;
    Door door{disk, keeper, {.commit_interval = by_hand}};
    door.commits_by_hand = true;
    Device device{door};
    device.connect("V1", /*clean=*/false);
    const Message message{7, "x"};
    const auto first =
        publish_packet(ProtocolLevel::v3_1_1, Qos::at_least_once, message, /*dup=*/false);
    const auto again =
        publish_packet(ProtocolLevel::v3_1_1, Qos::at_least_once, message, /*dup=*/true);
    for (const auto& packet : {first, again}) {
        device.send(packet);
        REQUIRE(door.turn_until_read(packet.size()));
    }
    CHECK(device.heard().find(Device::puback(7)) == std::string::npos);
    CHECK(device.hears(Device::puback(7) + Device::puback(7)));
    CHECK(door.values() == std::multiset<std::string>{"x"});
    CHECK(door.intake->stats().rejected_duplicate.value() == 1);
    CHECK(door.intake->stats().received_qos1.value() == 2);
}

TEST_CASE("front door: other content under a packet id that waits is a reading", "[front_door]") {
    ForgetfulDisk disk;
    FoldingKeeper keeper;
    Door door{disk, keeper};
    Device device{door};
    device.connect("V1", /*clean=*/false);
    for (const char* value : {"before the device lost its session", "after"}) {
        device.send(qos_2(1, value));
        REQUIRE(device.takes(ack(PacketType::pubrec, 1)));
    }
    CHECK(door.values().size() == 2);
}

TEST_CASE("front door: a PUBREL that comes again in a kept session is no failure", "[front_door]") {
    ForgetfulDisk disk;
    FoldingKeeper keeper;
    Door door{disk, keeper};
    const Message message{7, "x"};
    for (int connection = 0; connection < 2; ++connection) {
        Device device{door};
        device.send(connect_packet(ProtocolLevel::v5));
        if (connection == 0) {
            device.send(publish_packet(ProtocolLevel::v5, Qos::exactly_once, message, false));
            REQUIRE(device.takes(ack(PacketType::pubrec, 7)));
        }
        device.send(ack(PacketType::pubrel, 7));
        CHECK(device.takes(ack(PacketType::pubcomp, 7)));
    }
    CHECK(door.values() == std::multiset<std::string>{"x"});
}

TEST_CASE("front door: a flood of QoS 2 packet ids ends its connection", "[front_door]") {
    ForgetfulDisk disk;
    FoldingKeeper keeper;
    Door door{disk, keeper, {.unreleased_publishes_max = 3}};
    {
        Device device{door};
        device.connect("V1", /*clean=*/false);
        for (std::uint16_t id = 1; id <= 4; ++id)
            device.send(qos_2(id, std::to_string(id)));
        CHECK(device.is_closed());
    }
    CHECK(door.listener->stats().unreleased_floods.value() == 1);
    Device device{door};
    device.connect("V1", /*clean=*/false, /*expect_present=*/true);
    device.send(ack(PacketType::pubrel, 1));
    REQUIRE(device.takes(ack(PacketType::pubcomp, 1)));
    device.send(qos_2(4, "4"));
    CHECK(device.takes(ack(PacketType::pubrec, 4)));
    CHECK(door.values() == std::multiset<std::string>{"1", "2", "3", "4"});
}

}  // namespace milepost
