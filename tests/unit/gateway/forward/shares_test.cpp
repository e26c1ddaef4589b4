#include "gateway/forward/shares.hpp"

#include <catch2/catch.hpp>

using namespace milepost::forward;

TEST_CASE("shares: all with a backlog get 16 : 4 : 1 parts", "[forward]") {
    std::vector<Demand> demands{
        {.wanted = 1'000'000, .weight = weight_of(Priority::low)},
        {.wanted = 1'000'000, .weight = weight_of(Priority::high)},
        {.wanted = 1'000'000, .weight = weight_of(Priority::normal)}};
    share_out(21'000, demands);
    CHECK(demands[0].share == 1'000);
    CHECK(demands[1].share == 16'000);
    CHECK(demands[2].share == 4'000);
}

TEST_CASE("shares: what one does not want goes to the others", "[forward]") {
    std::vector<Demand> demands{
        {.wanted = 10, .weight = weight_of(Priority::high)},
        {.wanted = 1'000'000, .weight = weight_of(Priority::low)},
        {.wanted = 1'000'000, .weight = weight_of(Priority::normal)}};
    share_out(1'010, demands);
    CHECK(demands[0].share == 10);
    CHECK(demands[1].share == 200);
    CHECK(demands[2].share == 800);
}

TEST_CASE("shares: nobody starves, however small the room", "[forward]") {
    std::vector<Demand> demands{
        {.wanted = 5, .weight = weight_of(Priority::high)},
        {.wanted = 5, .weight = weight_of(Priority::low)}};
    share_out(1, demands);
    CHECK(demands[0].share == 1);
    CHECK(demands[1].share == 1);
    std::vector<Demand> none;
    share_out(1, none);
}
