#include "gateway/upstream/line_limit.hpp"

#include <catch2/catch.hpp>

using namespace milepost;
using namespace milepost::upstream;
using std::chrono::seconds;

TEST_CASE("line_limit: a burst passes, then one line a second, the rest is counted", "[upstream]") {
    LineLimit limit;
    const Instant now{seconds{100}};
    int passed = 0;
    for (int line = 0; line < 100; ++line) {
        passed += limit.allow(now) ? 1 : 0;
    }
    CHECK(passed == 20);
    CHECK(limit.take_left_out() == 80);
    CHECK(limit.take_left_out() == 0);
    CHECK(limit.allow(now + seconds{1}));
    CHECK_FALSE(limit.allow(now + seconds{1}));
}
