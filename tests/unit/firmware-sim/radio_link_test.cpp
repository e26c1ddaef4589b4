#include "firmware-sim/radio_link.hpp"

#include <catch2/catch.hpp>

#include <string>
#include <vector>

using namespace milepost;
using namespace milepost::fleet;
using namespace std::chrono_literals;

namespace {

// What reached the link behind the air.
struct Behind {
    std::vector<std::uint64_t> published;
    int connects = 0;
    int cuts = 0;
    bool takes = true;
};

class PlainLink final : public Link {
public:
    explicit PlainLink(Behind& behind)
        : behind_(&behind) {}

    void connect() override { ++behind_->connects; }

    bool publish(std::uint64_t seq, const std::string& /*payload*/) override {
        if (behind_->takes) behind_->published.push_back(seq);
        return behind_->takes;
    }

    void disconnect() override {}

    void abandon() override {}

    void cut() override { ++behind_->cuts; }

    void step(const LinkEvent& /*answer*/) override {}

private:
    Behind* behind_;
};

using Numbers = std::vector<std::uint64_t>;

struct World {
    Inbox inbox{-1};
    Behind behind;
    RadioLink link{std::make_unique<PlainLink>(behind), 0, 1, 1, inbox};
    std::vector<LinkEvent> events;
};

}  // namespace

TEST_CASE("radio link: clear air is no air", "[radio]") {
    World world;
    world.link.connect();
    CHECK(world.behind.connects == 1);
    CHECK(world.link.publish(1, "a"));
    CHECK(world.behind.published == Numbers{1});
    CHECK(world.link.next_turn() == Instant::max());
}

TEST_CASE("radio link: what is published takes its time, and keeps its order", "[radio]") {
    World world;
    const RadioProfile slow{.name = "slow", .delay = {1s, 10s}, .loss = 0.3};
    world.link.tune(slow, monotonic_now());
    Numbers all;
    for (std::uint64_t seq = 1; seq <= 50; ++seq) {
        CHECK(world.link.publish(seq, "a"));
        all.push_back(seq);
    }
    CHECK(world.behind.published.empty());
    const Instant first = world.link.next_turn();
    CHECK(first > monotonic_now() + 500ms);
    CHECK_FALSE(world.link.turn(first));
    CHECK_FALSE(world.behind.published.empty());
    CHECK(world.behind.published.size() < 50);
    world.link.tune(radio_profiles().front(), monotonic_now());
    CHECK(world.link.publish(51, "a"));  // does not overtake
    CHECK_FALSE(world.link.turn(first + 1h));
    all.push_back(51);
    CHECK(world.behind.published == all);
}

TEST_CASE("radio link: without coverage it is cut and cannot connect", "[radio]") {
    World world;
    const Instant now = monotonic_now();
    const RadioProfile* const tunnel = &radio_profiles()[3];
    REQUIRE(tunnel->is_never_covered());
    world.link.tune(*tunnel, now);
    CHECK(world.link.next_turn() == now);
    CHECK_FALSE(world.link.turn(now));
    CHECK(world.behind.cuts == 1);
    CHECK(world.link.next_turn() == Instant::max());
    world.link.connect();
    CHECK(world.behind.connects == 0);
    world.inbox.take(world.events);
    REQUIRE(world.events.size() == 1);
    CHECK(world.events[0].kind == LinkEventKind::connect_failed);
    world.link.tune(radio_profiles().front(), now + 1s);
    CHECK(world.link.turn(now + 1s));  // it is back
    world.link.connect();
    CHECK(world.behind.connects == 1);
}

TEST_CASE("radio link: coverage comes and goes within its bounds", "[radio]") {
    World world;
    const RadioProfile profile{.name = "x", .covered = {2s, 4s}, .gone = {1s, 2s}};
    Instant now = monotonic_now();
    world.link.tune(profile, now);
    for (int i = 0; i < 20; ++i) {
        const Instant gone = world.link.next_turn();
        CHECK((gone - now >= 2s && gone - now <= 4s));
        CHECK_FALSE(world.link.turn(gone));
        now = world.link.next_turn();
        CHECK((now - gone >= 1s && now - gone <= 2s));
        CHECK(world.link.turn(now));
    }
    CHECK(world.behind.cuts == 20);
}

TEST_CASE("radio link: what the connection did not take waits for the next one", "[radio]") {
    World world;
    const RadioProfile slow{.name = "slow", .delay = {1s, 1s}};
    world.link.tune(slow, monotonic_now());
    CHECK(world.link.publish(1, "a"));
    world.behind.takes = false;
    CHECK_FALSE(world.link.turn(world.link.next_turn()));
    CHECK(world.link.next_turn() == Instant::max());  // it does not try for ever
    world.behind.takes = true;
    world.link.resume();
    CHECK_FALSE(world.link.turn(world.link.next_turn()));
    CHECK(world.behind.published == Numbers{1});
    CHECK(world.link.publish(2, "a"));
    world.link.forget_held();
    CHECK(world.link.next_turn() == Instant::max());
}
