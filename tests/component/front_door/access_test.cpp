// Who is let in and what they may do, as the gateway is wired, on real sockets.
#include "gateway/access/password_file.hpp"
#include "tests/component/front_door/door.hpp"

#include <memory>
#include <optional>
#include <string>

namespace milepost {

namespace {

using test::Device;
using test::Door;
using test::FoldingKeeper;
using test::ForgetfulDisk;

constexpr access::ScryptCost cheap{10, 1, 1};

std::shared_ptr<const access::PasswordFile> passwords(const std::string& text) {
    return std::make_shared<const access::PasswordFile>(
        std::get<access::PasswordFile>(access::PasswordFile::parse(text))
    );
}

std::shared_ptr<const access::Acl> acl(const std::string& text) {
    return std::make_shared<const access::Acl>(std::get<access::Acl>(access::Acl::parse(text)));
}

std::string line_of(std::string_view user, std::string_view password) {
    return access::entry_line(user, access::make_entry(as_bytes(password), cheap).value()) + "\n";
}

std::string counted(const std::string& text) {
    return std::string{'\0', static_cast<char>(text.size())} + text;
}

struct Hello {
    int level = 4;
    std::string id = "dev";
    std::optional<std::string> user{};
    std::optional<std::string> password{};
    std::string will_topic{};
};

std::string connect_packet(const Hello& hello) {
    unsigned flags = 2;
    if (hello.user) flags |= 0x80U;
    if (hello.password) flags |= 0x40U;
    if (!hello.will_topic.empty()) flags |= 0x04U;
    std::string body = counted("MQTT") + static_cast<char>(hello.level);
    body += static_cast<char>(flags);
    body += std::string(2, '\0');
    if (hello.level == 5) body += '\0';
    body += counted(hello.id);
    if (!hello.will_topic.empty()) {
        if (hello.level == 5) body += '\0';
        body += counted(hello.will_topic) + counted("will");
    }
    if (hello.user) body += counted(*hello.user);
    if (hello.password) body += counted(*hello.password);
    return std::string{'\x10', static_cast<char>(body.size())} + body;
}

std::string connack_4(int code) {
    return std::string{'\x20', '\2', '\0', static_cast<char>(code)};
}

std::string connack_5_failed(int reason) {
    return std::string{'\x20', '\3', '\0', static_cast<char>(reason), '\0'};
}

// QoS 1, or 0 without a packet id.
std::string publish_packet(int level, const std::string& topic, std::uint16_t packet_id) {
    std::string body = counted(topic);
    if (packet_id != 0) body += std::string{'\0', static_cast<char>(packet_id)};
    if (level == 5) body += '\0';
    body += "x";
    return std::string{packet_id != 0 ? '\x32' : '\x30', static_cast<char>(body.size())} + body;
}

listener::EndpointRules with_passwords(const std::string& text) {
    listener::EndpointRules rules;
    rules.passwords = passwords(text);
    rules.anonymous = false;
    return rules;
}

bool is_accepted(Device& device, int level) {
    return level == 4 ? device.takes(connack_4(0)) : device.hears(std::string{'\0', '\0'});
}

}  // namespace

TEST_CASE("access: the password decides, in the words of each version", "[front_door]") {
    ForgetfulDisk disk;
    FoldingKeeper keeper;
    const auto rules = with_passwords(line_of("depot", "secret") + "stolen:!\n");
    Door door{disk, keeper, {.endpoint = rules}};
    const auto answers = [&](const Hello& hello, const std::string& answer) {
        Device device{door};
        device.send(connect_packet(hello));
        return device.hears(answer);
    };
    for (const int level : {4, 5}) {
        INFO(level);
        const auto refused = [&](int code_4, int reason_5) {
            return level == 4 ? connack_4(code_4) : connack_5_failed(reason_5);
        };
        CHECK(answers({level, "a", "depot", "wrong"}, refused(4, 0x86)));
        CHECK(answers({level, "a", "depot", ""}, refused(4, 0x86)));
        CHECK(answers({level, "a", "nobody", "secret"}, refused(4, 0x86)));
        CHECK(answers({level, "a", "stolen", "secret"}, refused(5, 0x8A)));
        CHECK(answers({level, "a"}, refused(5, 0x87)));
        Device device{door};
        device.send(connect_packet({level, "a", "depot", "secret"}));
        CHECK(is_accepted(device, level));
        device.send(publish_packet(level, "t", 1));
        CHECK(device.hears(std::string{'\x40'}));
    }
    CHECK(door.listener->stats().refused_connects.value() == 10);
    CHECK(door.values().size() == 2);
}

TEST_CASE("access: what is sent behind a CONNECT waits for its password", "[front_door]") {
    ForgetfulDisk disk;
    FoldingKeeper keeper;
    const auto rules = with_passwords(line_of("depot", "secret"));
    Door door{disk, keeper, {.endpoint = rules}};
    Device right{door};
    right.send(connect_packet({4, "a", "depot", "secret"}) + publish_packet(4, "t", 7));
    CHECK(right.takes(connack_4(0)));
    CHECK(right.hears(Device::puback(7)));
    Device wrong{door};
    wrong.send(connect_packet({4, "b", "depot", "guess"}) + publish_packet(4, "t", 8));
    CHECK(wrong.takes(connack_4(4)));
    CHECK(wrong.is_closed());
    CHECK(door.values().size() == 1);
}

TEST_CASE("access: a storm of one login is one scrypt, a second one none", "[front_door]") {
    ForgetfulDisk disk;
    FoldingKeeper keeper;
    const auto rules = with_passwords(line_of("fleet", "secret"));
    Door door{disk, keeper, {.endpoint = rules, .logins = {.queue_max = 1}}};
    for (int round = 0; round < 2; ++round) {
        std::vector<std::unique_ptr<Device>> devices;
        for (int i = 0; i < 200; ++i) {
            devices.push_back(std::make_unique<Device>(door));
            devices.back()->send(connect_packet({4, "v" + std::to_string(i), "fleet", "secret"}));
        }
        for (const auto& device : devices)
            REQUIRE(device->takes(connack_4(0)));
        CHECK(door.listener->login_stats().verified.value() == 1);
    }
}

TEST_CASE("access: who cannot be verified now is told to come again", "[front_door]") {
    ForgetfulDisk disk;
    FoldingKeeper keeper;
    const auto dear = access::make_entry(as_bytes("secret"), {14, 8, 1}).value();
    const auto rules = with_passwords(access::entry_line("depot", dear) + "\n");
    Door door{disk, keeper, {.endpoint = rules, .logins = {.queue_max = 1}}};
    std::vector<std::unique_ptr<Device>> devices;
    for (int i = 0; i < 10; ++i) {
        devices.push_back(std::make_unique<Device>(door));
        devices.back()->send(connect_packet({5, "v", "depot", "guess" + std::to_string(i)}));
    }
    REQUIRE(door.turn_until([&] {
        return door.listener->stats().refused_connects.value() == devices.size();
    }));
    std::size_t busy = 0;
    for (const auto& device : devices)
        busy += device->heard().find(connack_5_failed(0x89)) != std::string::npos ? 1U : 0U;
    CHECK(busy >= 1);
    CHECK(busy == door.listener->login_stats().queue_full.value());
}

TEST_CASE("access: a device that leaves while it waits is forgotten", "[front_door]") {
    ForgetfulDisk disk;
    FoldingKeeper keeper;
    const auto rules = with_passwords(line_of("depot", "secret"));
    Door door{disk, keeper, {.endpoint = rules}};
    {
        Device device{door};
        device.send(connect_packet({4, "a", "depot", "secret"}));
        REQUIRE(door.turn_until_read(1));
    }
    Device other{door};
    other.send(connect_packet({4, "b", "depot", "secret"}));
    CHECK(other.takes(connack_4(0)));
}

TEST_CASE("access: the client id can be bound to the user", "[front_door]") {
    ForgetfulDisk disk;
    FoldingKeeper keeper;
    auto rules = with_passwords(line_of("V1", "secret"));
    rules.client_id_is_user = true;
    Door door{disk, keeper, {.endpoint = rules}};
    Device other{door};
    other.send(connect_packet({4, "V2", "V1", "secret"}));
    CHECK(other.takes(connack_4(2)));
    Device own{door};
    own.send(connect_packet({4, "V1", "V1", "secret"}));
    CHECK(own.takes(connack_4(0)));
    Device unnamed{door};
    unnamed.send(connect_packet({5, "", "V1", "secret"}));
    CHECK(unnamed.hears("V1"));
    CHECK(own.is_closed());  // it is the same session
}

TEST_CASE(
    "access: a publish that the ACL refuses is answered, counted and not written",
    "[front_door]"
) {
    ForgetfulDisk disk;
    FoldingKeeper keeper;
    listener::EndpointRules rules;
    rules.acl = acl("write vehicles/%c/#");
    Door door{disk, keeper, {.endpoint = rules}};
    Device old{door};
    old.send(connect_packet({4, "V1"}));
    REQUIRE(old.takes(connack_4(0)));
    old.send(publish_packet(4, "vehicles/V2/t", 1) + publish_packet(4, "vehicles/V1/t", 2));
    CHECK(old.hears(Device::puback(1) + Device::puback(2)));
    Device young{door};
    young.send(connect_packet({5, "V2"}));
    REQUIRE(young.hears("\x20"));
    young.send(publish_packet(5, "vehicles/V1/t", 3) + publish_packet(5, "vehicles/V2/t", 4));
    CHECK(young.hears(std::string{'\x40', '\3', '\0', '\3', '\x87'} + Device::puback(4)));
    young.send(publish_packet(5, "vehicles/V1/t", 0) + publish_packet(5, "vehicles/V2/t", 5));
    CHECK(young.hears(Device::puback(5)));
    const auto& stats = door.intake->stats();
    CHECK(stats.rejected_acl.value() == 3);
    CHECK(stats.accepted.value() == 3);
    CHECK(stats.received_qos1.value() + stats.received_qos0.value() == 6);
    CHECK(door.values().size() == 3);
}

TEST_CASE("access: new rules hold at once and disconnect nobody", "[front_door]") {
    ForgetfulDisk disk;
    FoldingKeeper keeper;
    auto rules = with_passwords(line_of("depot", "old"));
    rules.acl = acl("write a");
    Door door{disk, keeper, {.endpoint = rules}};
    Device device{door};
    device.send(connect_packet({4, "a", "depot", "old"}));
    REQUIRE(device.takes(connack_4(0)));
    device.send(publish_packet(4, "a", 1));
    REQUIRE(device.takes(Device::puback(1)));
    rules.passwords = passwords(line_of("depot", "new"));
    rules.acl = acl("write b");
    door.listener->set_rules(0, rules);
    device.send(publish_packet(4, "a", 2) + publish_packet(4, "b", 3));
    CHECK(device.takes(Device::puback(2) + Device::puback(3)));
    CHECK(door.intake->stats().rejected_acl.value() == 1);
    Device late{door};
    late.send(connect_packet({4, "b", "depot", "old"}));
    CHECK(late.takes(connack_4(4)));
    Device right{door};
    right.send(connect_packet({4, "c", "depot", "new"}));
    CHECK(right.takes(connack_4(0)));
}

TEST_CASE("access: a will goes only where its sender may publish", "[front_door]") {
    ForgetfulDisk disk;
    FoldingKeeper keeper;
    auto rules = with_passwords(line_of("depot", "secret"));
    rules.acl = acl("write wills/%u");
    Door door{disk, keeper, {.endpoint = rules}};
    for (const std::string topic : {"wills/depot", "wills/other"}) {
        Device device{door};
        device.send(connect_packet({4, "a", "depot", "secret", topic}));
        REQUIRE(device.takes(connack_4(0)));
    }
    const auto& stats = door.intake->stats();
    REQUIRE(door.turn_until([&] { return stats.received_wills.value() == 2; }));
    CHECK(stats.rejected_acl.value() == 1);
    CHECK(stats.accepted.value() == 1);
}

}  // namespace milepost
