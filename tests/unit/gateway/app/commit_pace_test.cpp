#include "gateway/commit_pace.hpp"

#include <catch2/catch.hpp>

#include <chrono>
#include <cstdint>
#include <vector>

namespace milepost {

namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

constexpr Duration commit_time = milliseconds{8};
constexpr Duration gap = milliseconds{
    1};  // of it: who does not come in that time is not waited for
constexpr Duration window = milliseconds{6};  // of it, at most

AckToken device(std::uint32_t slot, std::uint32_t generation = 1) {
    AckToken token;
    token.connection = slot;
    token.generation = generation;
    return token;
}

std::vector<AckToken> devices(std::uint32_t count) {
    std::vector<AckToken> all;
    for (std::uint32_t slot = 0; slot < count; ++slot)
        all.push_back(device(slot));
    return all;
}

// A pace and a clock, which begins at an hour: the first commit was long ago.
struct Paced {
    CommitPace pace{Duration::zero()};
    Instant now{std::chrono::hours{1}};

    void land(std::uint32_t count) { pace.landed(devices(count), commit_time, now, now); }

    // What a turn's end asks while the disk is free.
    bool is_due() {
        const auto due = pace.due(/*is_committing=*/false, now);
        return due && *due <= now;
    }

    void commit() { pace.committed(now); }

    // A flight whose window nobody comes back in.
    void fail_once() {
        land(4);
        now += gap;
        REQUIRE(is_due());
        commit();
    }
};

}  // namespace

TEST_CASE("pace: a group is committed at once while the disk is fast", "[pace]") {
    Paced p;
    CHECK(p.is_due());
    p.commit();
    CHECK(p.is_due());
}

TEST_CASE("pace: two commits begin an interval apart", "[pace]") {
    CommitPace pace{milliseconds{20}};
    const Instant begin{std::chrono::hours{1}};
    CHECK(*pace.due(false, begin) <= begin);
    pace.committed(begin);
    CHECK(pace.due(false, begin + milliseconds{5}) == begin + milliseconds{20});
    CHECK(pace.due(true, begin + milliseconds{5}) == std::nullopt);
}

TEST_CASE("pace: while a group flies the next one waits for it", "[pace]") {
    Paced p;
    CHECK(p.pace.due(/*is_committing=*/true, p.now) == std::nullopt);
}

TEST_CASE("pace: the group goes as soon as all who were acknowledged are back", "[pace]") {
    Paced p;
    p.land(3);
    for (const std::uint32_t slot : {2U, 0U}) {
        p.now += microseconds{100};
        p.pace.arrived(device(slot));
        CHECK_FALSE(p.is_due());
    }
    p.pace.arrived(device(1));
    CHECK(p.is_due());
}

TEST_CASE("pace: only those who were just acknowledged are waited for, each once", "[pace]") {
    Paced p;
    p.land(2);
    p.pace.arrived(device(7));                    // another one
    p.pace.arrived(device(0, /*generation=*/2));  // another one in a slot that is used again
    p.pace.arrived(device(1));
    p.pace.arrived(device(1));                        // has more to send
    p.pace.arrived(device(std::uint32_t{1} << 31U));  // a bridge
    CHECK_FALSE(p.is_due());
    p.pace.arrived(device(0));
    CHECK(p.is_due());
}

TEST_CASE("pace: the window ends when nobody has come for an eighth of a commit", "[pace]") {
    Paced p;
    p.land(3);
    p.now += gap / 2;
    p.pace.arrived(device(0));
    CHECK(p.pace.due(false, p.now) == p.now + gap);
    p.now += gap - microseconds{1};
    CHECK_FALSE(p.is_due());
    p.now += microseconds{1};
    CHECK(p.is_due());
}

TEST_CASE("pace: the window ends after three quarters of a commit, whoever still comes", "[pace]") {
    Paced p;
    const Instant begin = p.now;
    p.land(100);
    for (std::uint32_t slot = 0; p.now + gap / 2 < begin + window; ++slot) {
        p.now += gap / 2;
        p.pace.arrived(device(slot));
        CHECK_FALSE(p.is_due());
    }
    p.now = begin + window;
    CHECK(p.is_due());
}

TEST_CASE("pace: the time that sending the acks took is part of the window", "[pace]") {
    Paced p;
    p.pace.landed(devices(1000), commit_time, p.now, p.now + window - microseconds{10});
    p.now += window - microseconds{10};
    CHECK(p.pace.due(false, p.now) == p.now + microseconds{10});
}

TEST_CASE("pace: who does not come back is not waited for again for a while", "[pace]") {
    Paced p;
    p.fail_once();
    // The next flight goes on without a window: what came meanwhile is asked for at once.
    CHECK(p.pace.due(/*is_committing=*/true, p.now) <= p.now);
    p.land(4);
    CHECK(p.is_due());
    p.commit();
    // Then one is tried again, and when it fails too three are left out.
    p.fail_once();
    for (int flight = 0; flight < 3; ++flight) {
        CHECK(p.pace.due(/*is_committing=*/true, p.now) <= p.now);
        p.land(4);
        CHECK(p.is_due());
        p.commit();
    }
    CHECK(p.pace.due(/*is_committing=*/true, p.now) == std::nullopt);
}

TEST_CASE("pace: a window that most came back in is tried again", "[pace]") {
    Paced p;
    p.fail_once();
    p.land(4);
    p.commit();
    p.land(4);
    for (std::uint32_t slot = 0; slot < 3; ++slot)
        p.pace.arrived(device(slot));
    CHECK_FALSE(p.is_due());
    p.now += gap;
    CHECK(p.is_due());
    p.commit();
    CHECK(p.pace.due(/*is_committing=*/true, p.now) == std::nullopt);
}

TEST_CASE("pace: a group without a device's publish opens no window", "[pace]") {
    Paced p;
    p.pace.landed({}, commit_time, p.now, p.now);
    CHECK(p.is_due());
}

}  // namespace milepost
