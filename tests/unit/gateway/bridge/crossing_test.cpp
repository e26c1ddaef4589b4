#include "gateway/bridge/crossing.hpp"

#include "tests/support/wait_until.hpp"

#include <catch2/catch.hpp>

#include <atomic>
#include <thread>

namespace milepost::bridge {

TEST_CASE("who gives waits until it is finished, one item at a time") {
    std::atomic<int> woken = 0;
    Crossing crossing{[&] {
        ++woken;
    }};
    CHECK(crossing.waiting() == nullptr);
    std::atomic<int> given = 0;
    std::thread giver{[&] {
        for (mqtt::PacketId id = 1; id <= 3; ++id) {
            crossing.give(Release{id});
            ++given;
        }
    }};
    for (int number = 1; number <= 3; ++number) {
        REQUIRE(test::wait_until(
            [&] { return crossing.waiting() != nullptr; },
            std::chrono::seconds{10}
        ));
        CHECK(given == number - 1);
        CHECK(std::get<Release>(*crossing.waiting()).packet_id == number);
        crossing.finish();
    }
    giver.join();
    CHECK(woken == 3);
    CHECK(crossing.waiting() == nullptr);
}

TEST_CASE("once parked nothing is seen and nobody is woken") {
    int woken = 0;
    // The giver waits for ever: it and what it uses outlive the test.
    auto* crossing = new Crossing{[&] {
        ++woken;
    }};
    crossing->park();
    std::thread{[crossing] {
        crossing->give(Release{1});
    }}.detach();
    crossing->finish();
    CHECK(crossing->waiting() == nullptr);
    CHECK(woken == 0);
}

}  // namespace milepost::bridge
