#include "storage/log/commit_group.hpp"

#include "storage/format/record_batch.hpp"
#include "storage/log/errc.hpp"
#include "tests/support/matchers.hpp"

#include <catch2/catch.hpp>

#include <string>

namespace milepost::storage {

namespace {

constexpr PartitionId first{0};
constexpr PartitionId second{1};

GroupLimits limits(std::size_t group_bytes) {
    return {.group_bytes = group_bytes, .record_bytes = 350, .part_overhead_bytes = 16};
}

RecordView record(std::string_view value) {
    return {
        .timestamp = Timestamp{1000},
        .key = as_bytes("k"),
        .value = as_bytes(value),
        .headers = {}};
}

AckToken token(std::uint16_t packet_id) {
    AckToken made;
    made.packet_id = packet_id;
    return made;
}

}  // namespace

TEST_CASE("commit group: offsets are given in order, per partition", "[commit_group]") {
    CommitGroup group{limits(10'000)};
    group.make_room(2);
    CHECK(group.empty());
    CHECK(group.add(first, Offset{7}, record("a"), {}).value() == Offset{7});
    CHECK(group.add(second, Offset{0}, record("b"), {}).value() == Offset{0});
    CHECK(group.add(first, Offset{8}, record("c"), {}).value() == Offset{8});
    REQUIRE(group.touched().size() == 2);
    CHECK(group.touched()[0] == first);
    CHECK(group.batch(first).base_offset() == Offset{7});
    CHECK(group.batch(first).next_offset() == Offset{9});
    CHECK(group.records() == 3);
    CHECK(group.record_bytes() == 6);
}

TEST_CASE("commit group: tokens come back in the order of the appends", "[commit_group]") {
    CommitGroup group{limits(10'000)};
    group.make_room(2);
    REQUIRE(group.add(first, Offset{0}, record("a"), token(1)).has_value());
    REQUIRE(group.add_session("client", as_bytes("state"), token(2)).has_value());
    REQUIRE(group.add(second, Offset{0}, record("b"), token(3)).has_value());
    REQUIRE(group.add(first, Offset{1}, record("no token"), {}).has_value());
    std::vector<AckToken> tokens;
    SessionDeltas sessions;
    group.take(tokens, sessions);
    CHECK(tokens == std::vector<AckToken>{token(1), token(2), token(3)});
    REQUIRE(sessions.size() == 1);
    CHECK(sessions[0].client_id == "client");
    CHECK(as_text(sessions[0].state) == "state");
    CHECK(group.empty());
    CHECK(group.bytes() == 0);
}

TEST_CASE("commit group: what does not fit changes nothing", "[commit_group]") {
    CommitGroup group{limits(400)};
    group.make_room(1);
    const std::string value(200, 'x');
    REQUIRE(group.add(first, Offset{0}, record(value), {}).has_value());
    const auto full = group.add(first, Offset{1}, record(value), token(1));
    REQUIRE_FALSE(full.has_value());
    CHECK(full.error() == LogErrc::group_full);
    CHECK(group.records() == 1);
    CHECK(group.batch(first).next_offset() == Offset{1});
    CHECK(group.add_session("c", Buffer(300), {}).error() == LogErrc::group_full);
}

TEST_CASE("commit group: a change comes with its record, or neither does", "[commit_group]") {
    CommitGroup group{limits(600)};
    group.make_room(1);
    const std::string value(200, 'x');
    REQUIRE(group.add(first, Offset{0}, record(value), {}, {"client", as_bytes("1")}));
    CHECK(
        group.add(first, Offset{1}, record(value), {}, {"client", Buffer(300)}).error() ==
        LogErrc::group_full
    );
    CHECK(group.records() == 1);
    REQUIRE(group.add(first, Offset{1}, record("y"), {}, {"client", as_bytes("2")}));
    REQUIRE(group.add_change({"client", as_bytes("3")}, token(1)));
    REQUIRE(group.add_change({"other", as_bytes("4")}, {}));
    CHECK(group.add_change({"other", Buffer(300)}, {}).error() == LogErrc::group_full);
    REQUIRE(group.sessions().size() == 2);
    CHECK(as_text(group.sessions()[0].state) == "123");
    CHECK(as_text(group.sessions()[1].state) == "4");
}

TEST_CASE(
    "commit group: a record that would never fit is told from a full group",
    "[commit_group]"
) {
    CommitGroup group{limits(10'000)};
    group.make_room(1);
    const auto large = group.add(first, Offset{0}, record(std::string(400, 'x')), {});
    CHECK(large.error() == LogErrc::record_too_large);
    CHECK(group.empty());
}

TEST_CASE("commit group: tokens alone need no disk", "[commit_group]") {
    CommitGroup group{limits(10'000)};
    group.add_token(token(5));
    CHECK_FALSE(group.empty());
    CHECK_FALSE(group.needs_disk());
}

TEST_CASE("commit group: its bound covers the batches that it makes", "[commit_group]") {
    CommitGroup group{limits(100'000)};
    group.make_room(2);
    for (int i = 0; i < 50; ++i) {
        const auto partition = i % 2 == 0 ? first : second;
        REQUIRE(group.add(partition, Offset{i / 2}, record(std::string(100, 'v')), {}).has_value());
    }
    const auto bytes = group.batch(first).finish_plain().size() +
                       group.batch(second).finish_plain().size();
    CHECK(bytes <= group.bytes());
}

}  // namespace milepost::storage
