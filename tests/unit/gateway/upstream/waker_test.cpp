#include "gateway/upstream/waker.hpp"

#include <catch2/catch.hpp>

#include <chrono>
#include <thread>

using namespace milepost;
using namespace milepost::upstream;

TEST_CASE("waker: a wake before the wait ends it, and only once", "[upstream]") {
    Waker waker;
    waker.wake();
    waker.wake();
    waker.wait(std::nullopt);
    waker.wait(std::chrono::milliseconds{1});  // nothing left: runs into its limit
    waker.wait(-std::chrono::seconds{1});      // a moment that has passed
}

TEST_CASE("waker: another thread ends a wait without a limit", "[upstream]") {
    Waker waker;
    std::jthread other{[&] {
        waker.wake();
    }};
    waker.wait(std::nullopt);
}
