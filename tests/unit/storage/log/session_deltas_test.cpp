#include "storage/log/session_deltas.hpp"

#include <catch2/catch.hpp>

#include <string>
#include <vector>

using namespace milepost;
using namespace milepost::storage;

namespace {

std::vector<std::string> all(const SessionDeltas& deltas) {
    std::vector<std::string> texts;
    for (const SessionDelta& delta : deltas.list()) {
        texts.push_back(delta.client_id + "=" + std::string{as_text(delta.state)});
    }
    return texts;
}

}  // namespace

TEST_CASE("session deltas: changes of one client in a row are one delta", "[session_deltas]") {
    SessionDeltas deltas;
    deltas.extend("a", as_bytes("1"));
    deltas.extend("a", as_bytes("2"));
    deltas.extend("b", as_bytes("3"));
    deltas.extend("a", as_bytes("4"));
    CHECK(all(deltas) == std::vector<std::string>{"a=12", "b=3", "a=4"});
}

TEST_CASE("session deltas: the end of a session is never extended", "[session_deltas]") {
    SessionDeltas deltas;
    deltas.add("a", {});
    CHECK_FALSE(deltas.extends_last("a"));
    deltas.extend("a", as_bytes("1"));
    CHECK(deltas.extends_last("a"));
    CHECK_FALSE(deltas.extends_last("b"));
    CHECK(all(deltas) == std::vector<std::string>{"a=", "a=1"});
}

TEST_CASE("session deltas: those of a later group come behind", "[session_deltas]") {
    SessionDeltas all_of_them;
    for (const char* group : {"1", "2", "3"}) {
        SessionDeltas deltas;
        deltas.add("a", as_bytes(group));
        deltas.add("b", as_bytes(group));
        all_of_them.take(deltas);
        CHECK(deltas.empty());
    }
    CHECK(all(all_of_them) == std::vector<std::string>{"a=1", "b=1", "a=2", "b=2", "a=3", "b=3"});
}
