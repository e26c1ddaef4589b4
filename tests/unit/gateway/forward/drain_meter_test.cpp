#include "gateway/forward/drain_meter.hpp"

#include <catch2/catch.hpp>

#include <chrono>

using namespace milepost;
using milepost::forward::DrainMeter;
using std::chrono::seconds;

TEST_CASE("drain_meter: says when a backlog is gone, as it shrinks", "[forward]") {
    DrainMeter meter;
    Instant now{seconds{10}};
    meter.update(now, 0);
    CHECK(meter.seconds() == 0.0);
    std::int64_t backlog = 100'000;
    for (int i = 0; i < 50; ++i) {
        meter.update(now += seconds{1}, backlog);
        backlog -= 1000;
    }
    CHECK(meter.seconds().value() == Approx(51).margin(1));
    for (int i = 0; i < 50; ++i)
        meter.update(now += seconds{1}, backlog += 500);
    CHECK_FALSE(meter.seconds());
    meter.update(now, 0);
    CHECK(meter.seconds() == 0.0);
}
