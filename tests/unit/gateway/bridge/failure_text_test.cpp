#include "gateway/bridge/failure_text.hpp"

#include <catch2/catch.hpp>

using namespace milepost::bridge;

TEST_CASE("bridge: a refused connection is told in words", "[bridge]") {
    const std::string refused = "the broker refuses the connection: ";
    CHECK(
        connect_failure(4, "MQTT error [4]: CONNACK return code") ==
        refused + "wrong user or password"
    );
    CHECK(
        connect_failure(5, "MQTT error [5]: CONNACK return code") ==
        refused + "not authorised (user, password or client_id)"
    );
    CHECK(connect_failure(6, "CONNACK return code") == "CONNACK return code");
    CHECK(connect_failure(-3, "CONNACK return code") == "CONNACK return code");
    CHECK(
        connect_failure(-1, "MQTT error [-1]: TCP connect timeout") ==
        "no connection, or no answer to CONNECT, within connect_timeout"
    );
    CHECK(connect_failure(4, "something else") == "something else");
}

TEST_CASE(
    "bridge: only a CONNECT that was not sent, or refused, has surely made no session",
    "[bridge]"
) {
    CHECK(is_without_session(-1, "MQTT error [-1]: TCP/TLS connect failure"));
    CHECK(is_without_session(5, "MQTT error [5]: CONNACK return code"));
    CHECK(is_without_session(135, "MQTT error [135]: CONNACK return code"));
    CHECK_FALSE(is_without_session(-1, "MQTT error [-1]: TCP connect timeout"));
    CHECK_FALSE(is_without_session(-1, "MQTT error [-1]: TCP connect completion failure"));
    CHECK_FALSE(is_without_session(-1, "MQTT error [-1]: CONNACK return code"));
    CHECK_FALSE(is_without_session(-3, "disconnected"));
    CHECK_FALSE(is_without_session(0, ""));
}

TEST_CASE("bridge: of a text from outside one bounded line is kept", "[bridge]") {
    CHECK(first_line("verify failed \r\nand more", 100) == "verify failed");
    CHECK(first_line("verify failed", 6) == "verify");
    CHECK(first_line("\n", 6).empty());
    CHECK(first_line("", 6).empty());
    CHECK(first_line("  ", 6).empty());
}
