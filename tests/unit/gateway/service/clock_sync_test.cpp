#include "gateway/clock_sync.hpp"

#include <catch2/catch.hpp>

#include <sys/timex.h>

using namespace milepost;

TEST_CASE("clock: only a kernel that says so is synchronised", "[clock]") {
    for (const int state : {TIME_OK, TIME_INS, TIME_DEL, TIME_OOP, TIME_WAIT}) {
        REQUIRE(says_synced(state));
    }
    REQUIRE_FALSE(says_synced(TIME_ERROR));
    REQUIRE_FALSE(says_synced(-1));
}

TEST_CASE("clock: where synchronisation is not required nobody is asked", "[clock]") {
    REQUIRE(ClockSync{false}.is_synced(Instant{}));
}
