#include "gateway/bridge/broker_session.hpp"

#include "gateway/listener/session_state.hpp"

#include <catch2/catch.hpp>

namespace milepost::bridge {

namespace {

// As the Keeper would have it after a crash.
Buffer merged(const Buffer& state, const Buffer& change) {
    const Bytes one = change;
    return listener::merge_session_states(state, {&one, 1});
}

constexpr listener::Remembered first{.hash = 17, .packet_id = 5};

}  // namespace

TEST_CASE("a bridge's row is no client's, and tells its bridge") {
    CHECK(row_key("plant").front() == '\0');
    CHECK(bridge_of_key(row_key("plant")) == "plant");
    CHECK_FALSE(bridge_of_key("plant"));
    CHECK_FALSE(bridge_of_key(std::string{"\0m12", 4}));
    CHECK_FALSE(bridge_of_key(""));
}

TEST_CASE("a publish that was received waits, after a crash too") {
    BrokerSession session;
    const Buffer change = session.accepted_change(first);
    session.note_accepted(first);
    CHECK(session.has(first));

    const BrokerSession again{merged({}, change)};
    CHECK(again.has(first));
    CHECK(again.unreleased() == std::vector<mqtt::PacketId>{5});
    CHECK_FALSE(again.has({.hash = 18, .packet_id = 5}));  // other content: the broker began anew
    CHECK_FALSE(again.has({.hash = 17, .packet_id = 6}));
}

TEST_CASE("a packet id that was released is free, after a crash too") {
    BrokerSession session;
    Buffer state = merged({}, session.accepted_change(first));
    session.note_accepted(first);
    state = merged(state, session.released_change(5));
    session.note_released(5);
    CHECK_FALSE(session.has(first));
    CHECK_FALSE(BrokerSession{state}.waits(5));
}

TEST_CASE("changes that are folded twice change nothing") {
    BrokerSession session;
    const Buffer change = session.accepted_change(first);
    const Buffer once = merged({}, change);
    CHECK(merged(once, change) == once);
}

TEST_CASE("each record counts once, of whatever QoS, and a log that is made anew has none") {
    BrokerSession session;
    Buffer state = merged({}, session.accepted_change(std::nullopt));
    session.note_accepted(std::nullopt);
    const Buffer second = session.accepted_change(first);
    session.note_accepted(first);
    state = merged(merged(state, second), second);
    CHECK(session.accepted() == 2);
    CHECK(BrokerSession{state}.accepted() == 2);
    state = merged(state, session.released_change(5));
    CHECK(BrokerSession{state}.accepted() == 2);

    state = merged(state, new_log_change());
    session.note_new_log();
    CHECK(BrokerSession{state}.accepted() == 0);
    state = merged(state, session.accepted_change(std::nullopt));
    CHECK(BrokerSession{state}.accepted() == 1);
}

TEST_CASE("the filters that the broker holds are kept, and those that are gone are not") {
    BrokerSession session;
    const Filters two{{"a/#", 2}, {"b", 1}};
    Buffer state = merged({}, session.filters_change(two));
    session.note_filters(two);
    CHECK(BrokerSession{state}.filters() == two);

    const Filters one{{"b", 2}};
    state = merged(state, session.filters_change(one));
    CHECK(BrokerSession{state}.filters() == one);
}

TEST_CASE("filters in doubt are kept, and are none that a bridge asks for") {
    BrokerSession session;
    const Filters held{{"a/#", 2}, {"b", 1}};
    Buffer state = merged({}, session.filters_change(held));
    session.note_filters(held);
    state = merged(state, session.filters_change(in_doubt(held)));
    CHECK(BrokerSession{state}.filters() == Filters{{"a/#", qos_in_doubt}, {"b", qos_in_doubt}});
}

TEST_CASE("another url or client id is another session: what is known of its filters is in doubt") {
    const Peer before = peer_of("mqtt://a:1883", "depot");
    CHECK(before != 0);
    CHECK(before != peer_of("mqtt://b:1883", "depot"));
    CHECK(before != peer_of("mqtt://a:1883", "depot2"));
    BrokerSession session{Bytes{}, before};
    const Filters held{{"a/#", 2}};
    const Buffer state = merged({}, session.filters_change(held));
    CHECK(BrokerSession{state, before}.filters() == held);
    CHECK(BrokerSession{state, before + 2}.filters() == in_doubt(held));
}

TEST_CASE("a row that is torn or none is a new session") {
    for (const std::string_view state : {"", "\x03", "garbage"}) {
        const BrokerSession session{as_bytes(state)};
        CHECK(session.unreleased().empty());
        // Its first change begins the row, so that it can be read.
        CHECK(BrokerSession{merged({}, session.accepted_change(first))}.has(first));
    }
}

}  // namespace milepost::bridge
