#include "firmware-sim/tally.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include <limits>

using namespace milepost::fleet;

TEST_CASE("tally: a percentile is at most a sixteenth too high, never too low", "[tally]") {
    for (const std::uint64_t value :
         {0U, 1U, 31U, 32U, 33U, 1000U, 65'535U, 65'536U, 4'000'000'000U}) {
        INFO(value);
        LatencyHistogram histogram;
        histogram.record(value);
        CHECK(histogram.percentile(0.5) >= value);
        CHECK(histogram.percentile(0.5) <= value + value / 16);
    }
}

TEST_CASE("tally: percentiles find their share", "[tally]") {
    LatencyHistogram histogram;
    CHECK(histogram.percentile(0.99) == 0);
    for (std::uint64_t value = 1; value <= 1000; ++value)
        histogram.record(value);
    CHECK(histogram.percentile(0.5) == Approx(500).epsilon(0.07));
    CHECK(histogram.percentile(0.99) == Approx(990).epsilon(0.07));
    histogram.record(std::numeric_limits<std::uint64_t>::max());
    CHECK(histogram.percentile(1) > 1'000'000'000);
}

TEST_CASE("tally: text and JSON say the same", "[tally]") {
    Tally tally;
    tally.vehicles = 2;
    tally.sampled = 10;
    tally.acknowledged = 7;
    tally.dropped_buffer_full = 2;
    tally.outstanding = 1;
    tally.ack_latency.record(20);
    const auto json = nlohmann::json::parse(to_json(tally));
    CHECK(json["sampled"] == 10);
    CHECK(json["dropped"] == 2);
    CHECK(json["ack_latency_p50_ms"] == 0.02);
    CHECK(to_text(tally).find("acknowledged 7\n") != std::string::npos);
    CHECK_FALSE(tally.is_settled());
}
