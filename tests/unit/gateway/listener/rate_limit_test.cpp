#include "gateway/listener/rate_limit.hpp"

#include <catch2/catch.hpp>

namespace milepost::listener {

using std::chrono::milliseconds;
using std::chrono::seconds;

TEST_CASE("rate limit: a second's worth at once, then what is owed is waited for", "[listener]") {
    const Instant start{seconds{100}};
    RateLimit limit{10, 0, start};
    for (int i = 0; i < 10; ++i)
        limit.message();
    CHECK(limit.pause(start) == Duration::zero());
    for (int i = 0; i < 5; ++i)
        limit.message();
    CHECK(limit.pause(start) == milliseconds{500});
    CHECK(limit.pause(start + milliseconds{250}) == milliseconds{250});
    CHECK(limit.pause(start + milliseconds{500}) == Duration::zero());
}

TEST_CASE("rate limit: silence saves up one second, no more", "[listener]") {
    const Instant start{seconds{100}};
    RateLimit limit{10, 0, start};
    CHECK(limit.pause(start + seconds{60}) == Duration::zero());
    for (int i = 0; i < 20; ++i)
        limit.message();
    CHECK(limit.pause(start + seconds{60}) == seconds{1});
}

TEST_CASE("rate limit: bytes count by themselves", "[listener]") {
    const Instant start{seconds{100}};
    RateLimit limit{0, 1000, start};
    for (int i = 0; i < 100'000; ++i)
        limit.message();
    limit.bytes(3000);
    CHECK(limit.pause(start) == seconds{2});
}

}  // namespace milepost::listener
