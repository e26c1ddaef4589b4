#include "storage/meta/session_store.hpp"

#include "storage/meta/meta_keeper.hpp"
#include "storage/meta/schema.hpp"
#include "tests/support/matchers.hpp"
#include "tests/support/temp_dir.hpp"

#include <array>
#include <utility>

using namespace milepost;
using namespace milepost::storage;
using milepost::test::TempDir;

namespace {

SessionDelta delta(std::string client_id, std::string_view state) {
    const Bytes bytes = as_bytes(state);
    return {.client_id = std::move(client_id), .state = Buffer{bytes.begin(), bytes.end()}};
}

}  // namespace

TEST_CASE("session_store: the last state of a session wins, an empty one ends it", "[meta]") {
    const TempDir dir;
    auto connection = open_meta(dir.path());
    REQUIRE(connection);
    SessionStore store{*connection};
    const std::array deltas{delta("a", "1"), delta("b", "1"), delta("a", "2"), delta("b", "")};
    for (int folds = 0; folds < 2; ++folds) {  // folding twice changes nothing
        REQUIRE(store.fold(deltas));
        const auto sessions = store.load();
        REQUIRE(sessions);
        REQUIRE(sessions.value().size() == 1);
        CHECK(sessions.value()[0].client_id == "a");
        CHECK(as_text(sessions.value()[0].state) == "2");
    }
}

namespace {

Buffer put_behind(Bytes state, std::span<const Bytes> changes) {
    Buffer merged{state.begin(), state.end()};
    for (const Bytes change : changes) {
        append_bytes(merged, change);
    }
    return merged;
}

}  // namespace

TEST_CASE("session_store: a client's changes are merged into its state, in order", "[meta]") {
    const TempDir dir;
    auto connection = open_meta(dir.path());
    REQUIRE(connection);
    SessionStore store{*connection, put_behind};
    REQUIRE(store.fold(std::array{delta("a", "1"), delta("b", "2"), delta("a", "3")}));
    REQUIRE(store.fold(std::array{delta("b", "4"), delta("a", ""), delta("a", "5")}));
    auto sessions = store.load();
    REQUIRE(sessions);
    REQUIRE(sessions.value().size() == 2);
    CHECK(as_text(sessions.value()[0].state) == "5");
    CHECK(as_text(sessions.value()[1].state) == "24");
    REQUIRE(store.fold(std::array{delta("a", "6"), delta("b", "7"), delta("b", "")}));
    sessions = store.load();
    REQUIRE(sessions.value().size() == 1);
    CHECK(as_text(sessions.value()[0].state) == "56");
}

TEST_CASE("meta_keeper: what it was given is there after a restart", "[meta]") {
    const TempDir dir;
    {
        auto connection = open_meta(dir.path());
        REQUIRE(connection);
        MetaKeeper keeper{std::move(connection).value()};
        const std::array deltas{delta("a", "1")};
        REQUIRE(keeper.fold(deltas));
        REQUIRE(keeper.record(Gap{{"t", 1}, Offset{5}, Offset{9}, "rot", Timestamp{1000}}));
    }
    auto connection = open_meta(dir.path());
    REQUIRE(connection);
    MetaKeeper keeper{std::move(connection).value()};
    CHECK(keeper.sessions().value().size() == 1);
    CHECK(keeper.gaps().value().size() == 1);
}
