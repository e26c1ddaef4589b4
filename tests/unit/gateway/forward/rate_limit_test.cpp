#include "gateway/forward/rate_limit.hpp"

#include <catch2/catch.hpp>

#include <chrono>

using namespace milepost;
using milepost::forward::RateLimit;
using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

// Sends records of `bytes` for `time`, whenever it may; returns how many.
int sent_in(RateLimit& limit, Duration time, std::uint64_t bytes) {
    Instant now{seconds{1000}};
    const Instant end = now + time;
    int sent = 0;
    (void)limit.wait(now);
    while (now < end) {
        const Duration wait = limit.wait(now);
        if (wait > Duration::zero()) {
            now += wait;
            continue;
        }
        limit.sent(1, bytes);
        if (++sent > 1'000'000) break;
    }
    return sent;
}

}  // namespace

TEST_CASE("rate_limit: without rates everything may go", "[forward]") {
    RateLimit limit{{}};
    for (int i = 0; i < 1000; ++i)
        limit.sent(1000, 1'000'000);
    CHECK(limit.wait(Instant{seconds{1}}) == Duration::zero());
}

TEST_CASE("rate_limit: records and bytes a second, whichever is less", "[forward]") {
    RateLimit records{{.bytes_per_s = 0, .records_per_s = 50}};
    CHECK(sent_in(records, seconds{100}, 1'000'000) == Approx(5000).margin(60));
    RateLimit bytes{{.bytes_per_s = 10'000, .records_per_s = 0}};
    CHECK(sent_in(bytes, seconds{100}, 100) == Approx(10'000).margin(200));
    RateLimit both{{.bytes_per_s = 10'000, .records_per_s = 50}};
    CHECK(sent_in(both, seconds{100}, 1000) == Approx(1000).margin(20));
}

TEST_CASE(
    "rate_limit: a record larger than a second's worth goes, and is waited for",
    "[forward]"
) {
    RateLimit limit{{.bytes_per_s = 1000, .records_per_s = 0}};
    const Instant now{seconds{1000}};
    REQUIRE(limit.wait(now) == Duration::zero());
    limit.sent(1, 1'000'000);
    CHECK(limit.wait(now) > seconds{990});
    CHECK(limit.wait(now + seconds{1001}) == Duration::zero());
}
