#include "firmware-sim/backoff.hpp"

#include <catch2/catch.hpp>

#include <chrono>

using namespace milepost::fleet;
using namespace std::chrono_literals;

TEST_CASE("backoff: waits double up to a limit, each within its half", "[backoff]") {
    Backoff backoff{7};
    for (const auto whole : {250ms, 500ms, 1000ms, 2000ms, 4000ms, 5000ms, 5000ms}) {
        const auto wait = backoff.next();
        CHECK(wait >= whole / 2);
        CHECK(wait <= whole);
    }
    backoff.reset();
    CHECK(backoff.next() <= 250ms);
}

TEST_CASE("backoff: two vehicles do not wait alike, one seed does", "[backoff]") {
    Backoff one{1};
    Backoff same{1};
    Backoff other{2};
    const auto wait = one.next();
    CHECK(wait == same.next());
    CHECK(wait != other.next());
}
