#include "gateway/forward/run_limit.hpp"

#include <catch2/catch.hpp>

using milepost::forward::RunLimit;

TEST_CASE("run_limit: halving to one takes few refusals, and it grows again", "[forward]") {
    RunLimit limit;
    CHECK_FALSE(limit.is_limited());
    limit.refused(10'000);
    int refusals = 1;
    while (limit.records() > 1) {
        limit.refused(limit.records());
        ++refusals;
    }
    CHECK(refusals == 5);
    limit.found();
    CHECK(limit.records() == 1);
    int runs = 0;
    while (limit.is_limited()) {
        limit.succeeded();
        ++runs;
    }
    CHECK(runs == 15);
}

TEST_CASE(
    "run_limit: where batches are too large, not records, refusals become rare",
    "[forward]"
) {
    RunLimit limit;
    constexpr std::int64_t fits = 500;
    limit.refused(10'000);
    int refusals = 0;
    for (int run = 0; run < 10'000; ++run) {
        if (limit.records() > fits) {
            limit.refused(limit.records());
            ++refusals;
        } else {
            limit.succeeded();
        }
        REQUIRE(limit.is_limited());
    }
    CHECK(refusals < 15);
}
