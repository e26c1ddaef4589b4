#include "firmware-sim/simulated_clock.hpp"

#include <catch2/catch.hpp>

#include <string>

using namespace milepost;
using namespace milepost::fleet;
using namespace std::chrono_literals;

TEST_CASE("simulated clock: it runs as fast as it is told, from its own start", "[clock]") {
    SimulatedClock clock{Timestamp{1'000'000}, 20};
    const Instant began{5h};
    clock.begin(began);
    CHECK(clock.elapsed(began) == 0s);
    CHECK(clock.elapsed(began + 3s) == 1min);
    CHECK(clock.moment(1min) == began + 3s);
    CHECK(clock.stamp(1min) == Timestamp{1'060'000});
    CHECK(clock.stamp(1'999'999ns) == Timestamp{1'000'001});
    CHECK(clock.moment(std::chrono::hours{24 * 366 * 250}) == Instant::max());
}

TEST_CASE("simulated clock: a start is read with its zone and fraction", "[clock]") {
    const Timestamp noon{1'795'521'600'000};
    CHECK(parse_rfc3339("2026-11-24T12:00:00Z") == noon);
    CHECK(parse_rfc3339("2026-11-24 13:30:00+01:30") == noon);
    CHECK(parse_rfc3339("2026-11-23t23:00:00-13:00") == noon);
    CHECK(parse_rfc3339("2026-11-24T12:00:00.1239Z") == noon + 123);
    CHECK(parse_rfc3339("1970-01-01T00:00:00z") == Timestamp{0});
    CHECK(parse_rfc3339("2024-02-29T00:00:00Z").has_value());
}

TEST_CASE("simulated clock: what is no time is none", "[clock]") {
    for (const std::string text :
         {"",
          "2026",
          "2026-11-24",
          "2026-11-24T12:00:00",
          "2026-11-24T12:00Z",
          "2026-13-24T12:00:00Z",
          "2026-02-29T12:00:00Z",
          "2026-11-24T24:00:00Z",
          "2026-11-24T12:60:00Z",
          "2026-11-24T12:00:61Z",
          "2026-11-24T12:00:00.Z",
          "2026-11-24T12:00:00+1:00",
          "2026-11-24T12:00:00Zx",
          "1969-12-31T23:59:59Z",
          "1970-01-01T00:00:00+00:01",
          "-026-11-24T12:00:00Z",
          "2026-11-2\xff"}) {
        INFO(text);
        CHECK_FALSE(parse_rfc3339(text).has_value());
    }
}
