#include "gateway/forward/backoff.hpp"

#include <catch2/catch.hpp>

using namespace milepost;
using namespace milepost::forward;
using std::chrono::milliseconds;

TEST_CASE("backoff: doubles up to its limit and is shortened by at most half", "[forward]") {
    Backoff backoff{milliseconds{100}, milliseconds{1000}, 7};
    for (const int expected : {100, 200, 400, 800, 1000, 1000}) {
        const Duration wait = backoff.next();
        CHECK(wait <= milliseconds{expected});
        CHECK(wait >= milliseconds{expected / 2});
    }
    backoff.reset();
    CHECK(backoff.next() <= milliseconds{100});
}

TEST_CASE("backoff: two gateways do not wait alike", "[forward]") {
    Backoff one{milliseconds{100}, milliseconds{1000}, 1};
    Backoff other{milliseconds{100}, milliseconds{1000}, 2};
    CHECK(one.next() != other.next());
}
