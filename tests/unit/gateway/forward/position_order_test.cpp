#include "gateway/forward/position_order.hpp"

#include <catch2/catch.hpp>

#include <chrono>

using namespace milepost::forward;
using std::chrono::milliseconds;

TEST_CASE(
    "position_order: the positions go first until it is known that they take long",
    "[forward]"
) {
    PositionOrder order;
    CHECK(order.next_is_first());
    order.took(milliseconds{3});
    CHECK(order.next_is_first());
    PositionOrder far;
    far.took(milliseconds{40});
    CHECK_FALSE(far.next_is_first());
}

TEST_CASE("position_order: a few slow answers change nothing, many do", "[forward]") {
    PositionOrder order;
    order.took(milliseconds{3});
    for (int i = 0; i < 5; ++i)
        order.took(milliseconds{60});
    CHECK(order.next_is_first());
    for (int i = 0; i < 20; ++i)
        order.took(milliseconds{60});
    CHECK_FALSE(order.next_is_first());
}

TEST_CASE("position_order: near the border it stays as it is", "[forward]") {
    PositionOrder order;
    order.took(milliseconds{12});
    CHECK(order.next_is_first());
    PositionOrder other;
    other.took(milliseconds{20});
    other.took(milliseconds{12});
    CHECK_FALSE(other.next_is_first());
}

TEST_CASE("position_order: now and then it looks whether last is still right", "[forward]") {
    PositionOrder order;
    order.took(milliseconds{50});
    int tried = 0;
    for (int i = 0; i < 100; ++i)
        tried += order.next_is_first() ? 1 : 0;
    CHECK(tried == 3);
    order.took(milliseconds{2});
    CHECK(order.next_is_first());
    CHECK(order.next_is_first());
}
