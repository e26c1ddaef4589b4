#include "storage/log/retention.hpp"

#include <catch2/catch.hpp>

#include <string>

namespace milepost::storage {

namespace {

using std::chrono::hours;
using std::chrono::milliseconds;

constexpr Timestamp now{1'795'000'000'000};
constexpr std::int64_t day = milliseconds{hours{24}}.count();

// Segments of 100 records and 1,000 bytes; the i-th was written `ages_days[i]` days ago.
RetainedPartition partition_of(std::initializer_list<std::int64_t> ages_days) {
    RetainedPartition partition;
    std::int64_t base = 0;
    for (const std::int64_t age : ages_days) {
        partition.segments.push_back(
            {.base = Offset{base},
             .next = Offset{base + 100},
             .bytes = 1000,
             .max_timestamp = now - age * day}
        );
        base += 100;
    }
    partition.released = Offset{base};
    return partition;
}

RetentionInput input_of(std::vector<RetainedPartition> partitions, std::uint64_t needed = 0) {
    return {
        .partitions = std::move(partitions),
        .bytes_needed = needed,
        .full = FullPolicy::block,
        .now = now};
}

// "partition:base" of each, an active one with a star.
std::string text_of(const std::vector<Removal>& removals) {
    std::string text;
    for (const Removal& removal : removals) {
        text += std::to_string(removal.partition) + ":" +
                std::to_string(removal.segment.base.value()) + (removal.is_active ? "* " : " ");
    }
    return text;
}

}  // namespace

TEST_CASE("retention: without limits and with room nothing goes", "[retention]") {
    CHECK(plan_retention(input_of({partition_of({1000, 900, 0})})).empty());
    CHECK(plan_retention(input_of({})).empty());
    CHECK(plan_retention(input_of({RetainedPartition{}}, 5000)).empty());
}

TEST_CASE(
    "retention: by bytes as many stay as reach the limit, and the active one",
    "[retention]"
) {
    auto partition = partition_of({4, 3, 2, 1});
    partition.limits.bytes = 2500;
    const auto removals = plan_retention(input_of({partition}));
    CHECK(text_of(removals) == "0:0 ");
    CHECK(removals[0].reason == RemovalReason::retention_bytes);
    partition.limits.bytes = 2000;
    CHECK(text_of(plan_retention(input_of({partition}))) == "0:0 0:100 ");
    partition.limits.bytes = 1;
    CHECK(text_of(plan_retention(input_of({partition}))) == "0:0 0:100 0:200 ");
}

TEST_CASE("retention: by age what is too old goes, the active one too", "[retention]") {
    auto partition = partition_of({9, 8, 3});
    partition.limits.age = hours{24 * 7};
    const auto removals = plan_retention(input_of({partition}));
    CHECK(text_of(removals) == "0:0 0:100 ");
    CHECK(removals[0].reason == RemovalReason::retention_age);
    partition.limits.age = hours{24 * 2};
    CHECK(text_of(plan_retention(input_of({partition}))) == "0:0 0:100 0:200* ");
}

TEST_CASE("retention: one that gives no room keeps its own limits all the same", "[retention]") {
    auto partition = partition_of({1000, 900, 0});
    partition.released = Offset{10'000};
    partition.gives_room = false;
    CHECK(plan_retention(input_of({partition}, 3000)).empty());
    partition.gives_room = true;
    CHECK_FALSE(plan_retention(input_of({partition}, 3000)).empty());
    partition.gives_room = false;
    partition.limits.bytes = 1;
    CHECK_FALSE(plan_retention(input_of({partition}, 3000)).empty());
}

TEST_CASE("retention: nothing goes past what is released", "[retention]") {
    auto partition = partition_of({9, 8, 7});
    partition.limits = {.bytes = 1, .age = hours{24}};
    partition.released = Offset{199};
    CHECK(text_of(plan_retention(input_of({partition}, 3000))) == "0:0 ");
    partition.released = Offset{99};
    CHECK(plan_retention(input_of({partition}, 3000)).empty());
}

TEST_CASE("retention: a clock that is not believed makes nothing old", "[retention]") {
    auto partition = partition_of({900, 800, 700});
    partition.limits.age = hours{24};
    partition.age_counts = false;
    CHECK(plan_retention(input_of({partition})).empty());
}

TEST_CASE("retention: timestamps that cannot be right make nothing old", "[retention]") {
    auto partition = partition_of({0, 0, 0});
    partition.limits.age = hours{24};
    partition.segments[0].max_timestamp = Timestamp{1000};               // 1970
    partition.segments[1].max_timestamp = Timestamp{2'145'916'800'000};  // 2038
    CHECK(plan_retention(input_of({partition})).empty());
    partition.segments[2].max_timestamp = timestamp_none;
    CHECK(plan_retention(input_of({partition})).empty());
    // What came later is too old: so are they.
    partition.segments[2].max_timestamp = now - 3 * day;
    CHECK(text_of(plan_retention(input_of({partition}))) == "0:0 0:100 0:200* ");
    // The clock says 1970, or 2038: everything else is then wrong, or not believed.
    auto input = input_of({partition_of({1, 1, 1})});
    input.partitions[0].limits.age = hours{24 * 7};
    input.now = Timestamp{1000};
    CHECK(plan_retention(input).empty());
}

TEST_CASE("retention: what is not too old keeps what follows it", "[retention]") {
    auto partition = partition_of({1, 9, 0});
    partition.limits.age = hours{24 * 7};
    CHECK(plan_retention(input_of({partition})).empty());
}

TEST_CASE("retention: for room the oldest of all partitions go first", "[retention]") {
    const auto removals = plan_retention(
        input_of({partition_of({5, 3, 1}), partition_of({6, 4, 2}), partition_of({7})}, 3500)
    );
    CHECK(text_of(removals) == "1:0 0:0 1:100 0:100 ");
    CHECK(removals[0].reason == RemovalReason::limit);
}

TEST_CASE("retention: active ones make room only where nothing else is left", "[retention]") {
    auto input = input_of({partition_of({5, 3}), partition_of({6})}, 2500);
    CHECK(text_of(plan_retention(input)) == "0:0 1:0* 0:100* ");
    input.bytes_needed = 1000;
    CHECK(text_of(plan_retention(input)) == "0:0 ");
}

TEST_CASE("retention: what age and bytes remove counts for the room", "[retention]") {
    auto partition = partition_of({9, 2, 1});
    partition.limits.age = hours{24 * 7};
    CHECK(text_of(plan_retention(input_of({partition}, 1000))) == "0:0 ");
}

TEST_CASE("retention: what nobody confirmed goes only where the policy says so", "[retention]") {
    auto waiting = partition_of({9, 8, 7});
    waiting.released = Offset{0};
    auto sent = partition_of({3, 2});
    auto input = input_of({waiting, sent}, 2500);
    CHECK(text_of(plan_retention(input)) == "1:0 1:100* ");
    input.full = FullPolicy::drop_oldest;
    const auto removals = plan_retention(input);
    CHECK(text_of(removals) == "1:0 1:100* 0:0 ");
    CHECK(removals.back().reason == RemovalReason::drop_oldest);
    // Half confirmed is not confirmed.
    input.partitions[0].released = Offset{50};
    CHECK(plan_retention(input).back().reason == RemovalReason::drop_oldest);
    input.bytes_needed = 100'000;
    CHECK(text_of(plan_retention(input)) == "1:0 1:100* 0:0 0:100 0:200* ");
}

TEST_CASE("clock: wall time that moves as monotonic time does is believed", "[retention]") {
    const ClockReading before{.wall = now, .monotonic_ms = 10 * day};
    CHECK(moved_alike(before, {.wall = now + 5 * day, .monotonic_ms = 15 * day}));
    CHECK(moved_alike(before, {.wall = now + 6 * day, .monotonic_ms = 15 * day}));
    CHECK(moved_alike(before, {.wall = now + 4 * day, .monotonic_ms = 15 * day}));
    CHECK_FALSE(moved_alike(before, {.wall = now + 6 * day + 1, .monotonic_ms = 15 * day}));
    CHECK_FALSE(moved_alike(before, {.wall = now + 4 * day - 1, .monotonic_ms = 15 * day}));
    CHECK_FALSE(moved_alike(before, {.wall = Timestamp{0}, .monotonic_ms = 10 * day}));
}

TEST_CASE("clock: a restart of the machine is believed if it took less than a day", "[retention]") {
    const ClockReading before{.wall = now, .monotonic_ms = 10 * day};
    CHECK(moved_alike(before, {.wall = now + 60'000, .monotonic_ms = 5000}));
    CHECK(moved_alike(before, {.wall = now + day / 2, .monotonic_ms = 5000}));
    CHECK_FALSE(moved_alike(before, {.wall = now + 30 * day, .monotonic_ms = 5000}));
    CHECK_FALSE(moved_alike(before, {.wall = Timestamp{5000}, .monotonic_ms = 5000}));
}

TEST_CASE("clock: after a jump no age counts until the clock is back", "[retention]") {
    AgeClock clock{{.wall = now, .monotonic_ms = 0}, hours{24 * 30}};
    clock.update({.wall = now + 1000, .monotonic_ms = 1000});
    CHECK(clock.trusts(hours{1}));
    clock.update({.wall = Timestamp{2'145'916'800'000}, .monotonic_ms = 2000});
    CHECK_FALSE(clock.trusts(hours{1}));
    CHECK(clock.reference().monotonic_ms == 1000);
    clock.update({.wall = now + 3000, .monotonic_ms = 3000});
    CHECK(clock.trusts(hours{1}));
    CHECK(clock.reference().monotonic_ms == 3000);
}

TEST_CASE(
    "clock: after a jump an age counts when the clock ran steadily for that long",
    "[retention]"
) {
    AgeClock clock{{.wall = now, .monotonic_ms = 0}, hours{24 * 30}};
    const Timestamp later = now + 400 * day;  // it was off for long, or it is wrong
    clock.update({.wall = later, .monotonic_ms = 1000});
    clock.update({.wall = later + 3 * day, .monotonic_ms = 1000 + 3 * day});
    CHECK(clock.trusts(hours{24 * 3}));
    CHECK_FALSE(clock.trusts(hours{24 * 4}));
    SECTION("another jump begins anew") {
        clock.update({.wall = later + 9 * day, .monotonic_ms = 1000 + 4 * day});
        CHECK_FALSE(clock.trusts(hours{1}));
    }
    SECTION("after the longest age it is the time") {
        clock.update({.wall = later + 30 * day, .monotonic_ms = 1000 + 30 * day});
        CHECK(clock.trusts(hours{24 * 365}));
        CHECK(clock.reference().wall == later + 30 * day);
    }
}

}  // namespace milepost::storage
