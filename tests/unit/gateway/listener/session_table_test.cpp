#include "gateway/listener/session_table.hpp"

#include <catch2/catch.hpp>

#include <string>

namespace milepost::listener {

namespace {

constexpr Timestamp t0{1'000'000};
SubscriberState none;

mqtt::Connect connect(std::string_view id, std::uint32_t expiry_s, bool clean) {
    mqtt::Connect connect;
    connect.client_id = id;
    connect.session_expiry_s = expiry_s;
    connect.clean_start = clean;
    return connect;
}

constexpr std::uint32_t never = mqtt::session_expiry_never;

}  // namespace

TEST_CASE("session table: a clean session leaves nothing behind", "[session_table]") {
    SessionTable table{10};
    const auto opened = table.open(connect("a", 0, true), 1, t0);
    REQUIRE(opened);
    CHECK_FALSE(opened->session_present);
    CHECK_FALSE(opened->change);
    CHECK_FALSE(table.close(*opened->entry, std::nullopt, t0));
    table.drop_if_ended(*opened->entry);
    CHECK(table.size() == 0);
}

TEST_CASE(
    "session table: a kept session is present when its device comes back",
    "[session_table]"
) {
    SessionTable table{10};
    const auto first = table.open(connect("a", never, false), 1, t0);
    REQUIRE(first->change);
    CHECK_FALSE(first->change->state.empty());
    CHECK_FALSE(first->session_present);
    table.close(*first->entry, std::nullopt, t0);
    table.drop_if_ended(*first->entry);
    const auto second = table.open(connect("a", never, false), 2, t0 + 5'000);
    CHECK(second->session_present);
    CHECK_FALSE(second->change);
}

TEST_CASE(
    "session table: clean start discards the kept session, and the log hears of it",
    "[session_table]"
) {
    SessionTable table{10};
    const auto first = table.open(connect("a", never, false), 1, t0);
    table.close(*first->entry, std::nullopt, t0);
    const auto second = table.open(connect("a", 0, true), 2, t0);
    CHECK_FALSE(second->session_present);
    REQUIRE(second->change);
    CHECK(second->change->state.empty());
}

TEST_CASE("session table: a session whose time is over is not present", "[session_table]") {
    SessionTable table{10};
    const auto first = table.open(connect("a", 10, false), 1, t0);
    REQUIRE(table.close(*first->entry, std::nullopt, t0));
    CHECK(table.expire(t0 + 9'999).empty());
    SECTION("it is swept") {
        CHECK(table.expire(t0 + 10'000) == std::vector<std::string>{"a"});
        CHECK(table.size() == 0);
    }
    SECTION("it is found expired before it is swept") {
        CHECK_FALSE(table.open(connect("a", 10, false), 2, t0 + 10'000)->session_present);
    }
    SECTION("it is present until then") {
        CHECK(table.open(connect("a", 10, false), 2, t0 + 9'999)->session_present);
    }
}

TEST_CASE("session table: the same client id again takes the connection over", "[session_table]") {
    SessionTable table{10};
    const auto first = table.open(connect("a", never, false), 1, t0);
    CHECK(first->taken_over == no_connection);
    CHECK(table.open(connect("a", never, false), 2, t0)->taken_over == 1);
}

TEST_CASE(
    "session table: what was handed out restores the session after a restart",
    "[session_table]"
) {
    SessionTable before{10};
    const auto opened = before.open(connect("a", 60, false), 1, t0);
    SECTION("connected when the gateway ended: its time runs from the restart on") {
        SessionTable after{10};
        REQUIRE(after.restore("a", opened->change->state, t0 + 1'000'000, none));
        CHECK(after.open(connect("a", 60, false), 1, t0 + 1'059'000)->session_present);
    }
    SECTION("disconnected before: its time has run on") {
        const auto closed = before.close(*opened->entry, std::nullopt, t0);
        REQUIRE(closed);
        SessionTable after{10};
        CHECK(after.restore("a", closed->state, t0 + 59'000, none));
        CHECK_FALSE(SessionTable{10}.restore("a", closed->state, t0 + 60'000, none));
    }
}

TEST_CASE(
    "session table: a state that is torn or of another version is ignored",
    "[session_table]"
) {
    SessionTable table{10};
    Buffer state = table.open(connect("a", 60, false), 1, t0)->change->state;
    for (std::size_t cut = 0; cut < state.size(); ++cut) {
        CHECK_FALSE(SessionTable{10}.restore("a", Bytes{state}.first(cut), t0, none));
    }
    state[0] = std::byte{9};
    CHECK_FALSE(SessionTable{10}.restore("a", state, t0, none));
}

TEST_CASE("session table: a DISCONNECT may change the expiry", "[session_table]") {
    SessionTable table{10};
    const auto opened = table.open(connect("a", 60, false), 1, t0);
    const auto change = table.close(*opened->entry, 0, t0);
    REQUIRE(change);
    CHECK(change->state.empty());
    table.drop_if_ended(*opened->entry);
    CHECK(table.size() == 0);
}

TEST_CASE(
    "session table: above sessions_max a new client is refused, a known one is not",
    "[session_table]"
) {
    SessionTable table{1};
    CHECK(table.open(connect("a", never, false), 1, t0));
    CHECK_FALSE(table.open(connect("b", 0, true), 2, t0));
    CHECK(table.open(connect("a", never, false), 3, t0));
}

}  // namespace milepost::listener
