#include "gateway/tool/publish_session.hpp"

#include "gateway/mqtt/decode.hpp"
#include "gateway/mqtt/encode.hpp"
#include "gateway/mqtt/frame_reader.hpp"
#include "gateway/tool/failure.hpp"
#include "gateway/tool/publish_journal.hpp"
#include "tests/support/temp_dir.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <fstream>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

using namespace milepost;
using namespace milepost::tool;
using mqtt::PacketType;
using mqtt::Qos;

namespace {

constexpr auto v5 = mqtt::ProtocolLevel::v5;

// A broker that delivers a QoS 2 message at PUBREL, as Mosquitto does, and forgets nothing unless
// it is told to.
class Broker {
public:
    bool keeps_session = false;
    std::vector<std::string> delivered;
    std::uint16_t receive_maximum = 100;
    mqtt::ReasonCode answer = mqtt::ReasonCode::success;

    // What the client sent; gives what it is answered.
    Buffer take(Bytes bytes) {
        Buffer out;
        while (!bytes.empty()) {
            const auto found = mqtt::read_frame(bytes, bytes.size());
            REQUIRE(found.status == mqtt::FrameStatus::whole);
            answer_to(found.frame, out);
            bytes = bytes.subspan(found.bytes);
        }
        return out;
    }

    void forget() {
        waiting_.clear();
        keeps_session = false;
    }

private:
    void answer_to(const mqtt::Frame& frame, Buffer& out) {
        if (frame.type() == PacketType::connect) {
            Buffer properties;
            const auto id = mqtt::PropertyId::receive_maximum;
            properties.push_back(static_cast<std::byte>(id));
            append_big(properties, receive_maximum);
            encode_connack(out, v5, {.session_present = keeps_session, .properties = properties});
            keeps_session = true;
        } else if (frame.type() == PacketType::publish) {
            mqtt::Publish publish;
            REQUIRE(decode_publish(frame, v5, publish) == mqtt::Errc::none);
            const auto id = publish.ticket.packet_id;
            const bool is_once = publish.qos == Qos::exactly_once;
            if (mqtt::is_failure(answer)) {
            } else if (!is_once) {
                delivered.emplace_back(as_text(publish.payload));
            } else {
                const auto is_it = [&](const auto& one) {
                    return one.first == id;
                };
                // A DUP of what is waiting is known; anything else under its id is a mistake.
                const auto known = std::ranges::find_if(waiting_, is_it);
                REQUIRE((known == waiting_.end() || publish.dup));
                if (known == waiting_.end()) waiting_.emplace_back(id, as_text(publish.payload));
                REQUIRE(waiting_.size() <= receive_maximum);
            }
            const auto type = is_once ? PacketType::pubrec : PacketType::puback;
            encode_ack(out, v5, type, {id, answer});
        } else if (frame.type() == PacketType::pubrel) {
            mqtt::Ack ack;
            REQUIRE(decode_ack(frame, v5, ack) == mqtt::Errc::none);
            const auto is_it = [&](const auto& one) {
                return one.first == ack.packet_id;
            };
            const auto found = std::ranges::find_if(waiting_, is_it);
            if (found != waiting_.end()) {
                delivered.push_back(found->second);
                waiting_.erase(found);
            } else {
                ack.reason = mqtt::ReasonCode::packet_identifier_not_found;
            }
            encode_ack(out, v5, PacketType::pubcomp, ack);
        }
    }

    std::vector<std::pair<mqtt::PacketId, std::string>> waiting_;
};

PublishSession::Options options_of(Qos qos, std::size_t in_flight_max = 10) {
    return {.qos = qos, .in_flight_max = in_flight_max, .client_id = "mpr1"};
}

void put(PublishSession& session, std::uint64_t number, Buffer& out) {
    const auto payload = std::to_string(number);
    mqtt::Publish publish;
    publish.topic = "a";
    publish.payload = as_bytes(payload);
    session.put(publish, out);
}

std::vector<std::string> numbers(std::uint64_t count) {
    std::vector<std::string> all;
    for (std::uint64_t i = 0; i < count; ++i)
        all.push_back(std::to_string(i));
    return all;
}

// Sends records 0 to `count` with interruptions: bytes lost on both ways, a program that is killed
// and knows what its journal says, connections that end. True to MQTT: bytes arrive in order.
class Rig {
public:
    Rig(Qos qos, unsigned seed)
        : qos_(qos)
        , random_(seed) {}

    Broker broker;
    PublishProgress journal;
    std::uint64_t kills = 0;

    void run(std::uint64_t count) {
        while (journal.completed < count) {
            PublishSession session{options_of(qos_), journal};
            while (live(session, count)) {
            }
        }
    }

private:
    bool chance(unsigned one_in) { return random_() % one_in == 0; }

    // A connection's life. False: the program was killed, or all is done.
    bool live(PublishSession& session, std::uint64_t count) {
        Buffer out;
        session.begin(out, false);
        while (true) {
            while (session.is_connected() && session.has_room() && session.next() < count &&
                   !chance(4))
                put(session, session.next(), out);
            journal = session.progress();
            auto back = broker.take(out);
            const bool is_lost = chance(20);
            if (is_lost) back.resize(random_() % (back.size() + 1));
            out.clear();
            REQUIRE_FALSE(session.receive(back, out));
            if (session.progress().completed == count) {
                journal = session.progress();
                return false;
            }
            if (!is_lost && !chance(20)) continue;
            // Either nothing of `out` was written to the journal, or it is there.
            if (chance(2)) {
                journal = session.progress();
                broker.take(Bytes{out}.first(whole_packets(out)));
            }
            if (chance(2)) {
                ++kills;
                return false;
            }
            session.end();
            return true;
        }
    }

    // Of so many bytes of a connection that ended the broker reads whole packets.
    std::size_t whole_packets(Bytes bytes) {
        std::size_t end = 0;
        while (end < bytes.size() && !chance(5)) {
            const auto found = mqtt::read_frame(bytes.subspan(end), bytes.size());
            end += found.bytes;
        }
        return end;
    }

    Qos qos_;
    std::mt19937 random_;
};

}  // namespace

TEST_CASE(
    "publishing: with QoS 2 each record arrives once, whatever is cut and killed",
    "[replay]"
) {
    std::uint64_t kills = 0;
    for (unsigned seed = 0; seed < 300; ++seed) {
        Rig rig{Qos::exactly_once, seed};
        rig.run(100);
        CAPTURE(seed);
        REQUIRE(rig.broker.delivered == numbers(100));
        CHECK(rig.journal.again == 0);
        kills += rig.kills;
    }
    CHECK(kills > 300);
}

TEST_CASE("publishing: with QoS 1 every record arrives, and repeats are counted", "[replay]") {
    for (unsigned seed = 0; seed < 300; ++seed) {
        Rig rig{Qos::at_least_once, seed};
        rig.run(100);
        const auto& delivered = rig.broker.delivered;
        CAPTURE(seed);
        CHECK(std::set<std::string>{delivered.begin(), delivered.end()}.size() == 100);
        CHECK(delivered.size() - 100 <= rig.journal.again);
        CHECK(rig.journal.again <= 10 * (rig.kills + 100));
    }
}

TEST_CASE("publishing: the broker's window holds, and its limit for packets", "[replay]") {
    Broker broker;
    broker.receive_maximum = 3;
    PublishSession session{options_of(Qos::exactly_once), {}};
    Buffer out;
    session.begin(out, false);
    const auto connack = broker.take(out);
    out.clear();
    REQUIRE_FALSE(session.receive(connack, out));
    for (std::uint64_t i = 0; i < 10; ++i)
        put(session, i, out);
    CHECK_FALSE(session.has_room());
    CHECK(session.progress().handed == 3);
    while (!session.is_idle()) {
        const auto back = broker.take(out);
        out.clear();
        REQUIRE_FALSE(session.receive(back, out));
    }
    CHECK(broker.delivered == numbers(10));
}

TEST_CASE("publishing: a broker that lost the session is sent everything again", "[replay]") {
    Broker broker;
    PublishSession session{options_of(Qos::exactly_once), {}};
    const auto talk = [&](Buffer& out) {
        const auto back = broker.take(out);
        out.clear();
        REQUIRE_FALSE(session.receive(back, out));
    };
    Buffer out;
    session.begin(out, false);
    talk(out);
    for (std::uint64_t i = 0; i < 4; ++i)
        put(session, i, out);
    talk(out);  // PUBREL is due
    CHECK(session.progress() == PublishProgress{.received = 4, .handed = 4});

    SECTION("by the same program") {
        session.end();
    }
    SECTION("by the next one, which puts it again") {
        session = PublishSession{options_of(Qos::exactly_once), session.progress()};
    }
    broker.forget();
    out.clear();
    session.begin(out, false);
    talk(out);
    while (session.next() < 4)
        put(session, session.next(), out);
    while (!session.is_idle())
        talk(out);
    CHECK(broker.delivered == numbers(4));
    CHECK(session.progress().again == 4);
}

TEST_CASE("publishing: what is refused is counted and passed over", "[replay]") {
    Broker broker;
    broker.answer = mqtt::ReasonCode::not_authorized;
    PublishSession session{options_of(Qos::exactly_once), {}};
    Buffer out;
    session.begin(out, false);
    for (int turns = 0; turns < 2; ++turns) {
        const auto back = broker.take(out);
        out.clear();
        REQUIRE_FALSE(session.receive(back, out));
        if (turns > 0) continue;
        put(session, 0, out);
        session.refuse("has no topic", out);
    }
    CHECK(session.is_idle());
    CHECK(session.progress().refused == 2);
    CHECK(session.refusal() == "has no topic");
    CHECK(broker.delivered.empty());
}

TEST_CASE("publishing: what a hostile broker sends closes the connection", "[replay]") {
    const auto problem_of = [](std::string_view bytes, bool is_connected = true) {
        PublishSession session{options_of(Qos::exactly_once), {}};
        Buffer out;
        session.begin(out, false);
        const std::string connack{"\x20\x03\x00\x00\x00", 5};
        if (is_connected) REQUIRE_FALSE(session.receive(as_bytes(connack), out));
        put(session, 0, out);
        return session.receive(as_bytes(bytes), out).value_or("nothing");
    };
    CHECK(problem_of("\xff\xff\xff\xff\xff") == "the broker sends no MQTT");
    CHECK(
        problem_of(std::string_view{"\x50\x02\x00\x01", 4}, false) ==
        "the broker sends a packet that it must not send"
    );
    CHECK(
        problem_of(std::string_view{"\x40\x02\x00\x01", 4}) ==
        "the broker sends an acknowledgement of another QoS"
    );
    CHECK(
        problem_of(std::string_view{"\x70\x02\x00\x01", 4}) ==
        "the broker sends PUBCOMP without PUBREL"
    );
    CHECK(problem_of(std::string_view{"\x50\x02\x00\x09", 4}) == "nothing");
    CHECK(
        problem_of(std::string_view{"\x20\x03\x00\x87\x00", 5}, false) ==
        "the broker refuses the connection: not authorised"
    );
    CHECK(
        problem_of(std::string_view{"\x20\x02\x00\x01", 4}, false) ==
        "the broker refuses the connection: this version of MQTT is not served (see -V)"
    );
    CHECK(
        problem_of(std::string_view{"\x20\x05\x00\x00\x02\x24\x01", 7}, false) ==
        "the broker takes QoS 1 at most"
    );
    CHECK(
        problem_of(std::string_view{"\xe0\x01\x8e", 3}) ==
        "the broker ends the connection: session taken over: is this replay running twice?"
    );
}

TEST_CASE("publish journal: what was written is read; what is none is refused", "[replay]") {
    const test::TempDir folder;
    const auto file = folder.path() / "state.publishes";
    const PublishProgress progress{
        .completed = 70'000,
        .received = 70'003,
        .handed = 70'009,
        .refused = 2,
        .again = 5};
    PublishJournal{file, "j", false, 0}.write(progress);
    CHECK(PublishJournal{file, "j", true, 12}.progress() == progress);
    CHECK(PublishJournal{file, "j", true, 70'005}.progress().received == 70'005);
    const auto failure_of = [&](const std::string& job) -> std::string {
        try {
            const PublishJournal journal{file, job, true, 1};
        } catch (const Failure& failure) {
            return failure.what();
        }
        return "none";
    };
    {
        const PublishJournal other{file, "j", true, 0};
        CHECK(failure_of("j") == file.string() + ": is in use: this replay is running already");
    }
    CHECK(failure_of("k") == file.string() + ": is of another replay");
    std::filesystem::resize_file(file, 60);
    CHECK(failure_of("j") == file.string() + ": is damaged");
    std::ofstream{file} << "something";
    CHECK(failure_of("j") == file.string() + ": is no journal of a replay's publishes");
    std::filesystem::remove(file);
    CHECK(failure_of("j").ends_with("is gone, so nobody knows which publishes are on their way"));
}
