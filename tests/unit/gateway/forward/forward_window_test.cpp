#include "gateway/forward/forward_window.hpp"

#include <catch2/catch.hpp>

#include <random>
#include <set>
#include <vector>

using namespace milepost::forward;

namespace {

ForwardWindow sent_up_to(std::int64_t first, std::int64_t end) {
    ForwardWindow window{Offset{first}};
    for (std::int64_t offset = first; offset < end; ++offset) {
        window.sent(Offset{offset});
    }
    return window;
}

}  // namespace

TEST_CASE("forward_window: confirmations in order move confirmed one by one", "[forward]") {
    auto window = sent_up_to(5, 8);
    CHECK(window.confirmed() == Offset{5});
    CHECK(window.next() == Offset{8});
    CHECK(window.confirm(Offset{5}));
    CHECK(window.confirm(Offset{6}));
    CHECK(window.confirmed() == Offset{7});
    CHECK(window.in_flight() == 1);
}

TEST_CASE("forward_window: confirmed never passes an unconfirmed record", "[forward]") {
    auto window = sent_up_to(0, 4);
    CHECK_FALSE(window.confirm(Offset{3}));
    CHECK_FALSE(window.confirm(Offset{1}));
    CHECK(window.confirmed() == Offset{0});
    CHECK(window.confirm(Offset{0}));
    CHECK(window.confirmed() == Offset{2});
    CHECK(window.confirm(Offset{2}));
    CHECK(window.confirmed() == Offset{4});
}

TEST_CASE("forward_window: a failed record stays, what is behind it is sent again", "[forward]") {
    auto window = sent_up_to(0, 3);
    window.confirm(Offset{0});
    window.fail(Offset{1});
    window.confirm(Offset{2});
    CHECK(window.confirmed() == Offset{1});
    window.rewind();
    CHECK(window.next() == Offset{1});
    window.sent(Offset{1});
    CHECK(window.confirm(Offset{1}));
    CHECK(window.confirmed() == Offset{2});
}

TEST_CASE("forward_window: holes of the log are passed when what is before them is", "[forward]") {
    ForwardWindow window{Offset{0}};
    window.skip_to(Offset{10});
    CHECK(window.confirmed() == Offset{10});
    window.sent(Offset{10});
    window.sent(Offset{20});
    window.skip_to(Offset{30});
    CHECK(window.confirmed() == Offset{10});
    window.confirm(Offset{20});
    CHECK(window.confirmed() == Offset{10});
    window.confirm(Offset{10});
    CHECK(window.confirmed() == Offset{30});
}

TEST_CASE("forward_window: agrees with a set of what is missing, in any order", "[forward]") {
    std::mt19937 random{42};
    for (int round = 0; round < 200; ++round) {
        ForwardWindow window{Offset{100}};
        std::vector<std::int64_t> in_flight;
        std::set<std::int64_t> missing;
        for (int step = 0; step < 200; ++step) {
            if (in_flight.empty() || random() % 2 == 0) {
                if (random() % 10 == 0) {
                    window.skip_to(window.next() + static_cast<std::int64_t>(random() % 5));
                }
                const Offset offset = window.next();
                window.sent(offset);
                in_flight.push_back(offset.value());
                missing.insert(offset.value());
            } else {
                const auto at = random() % in_flight.size();
                const std::int64_t offset = in_flight[at];
                in_flight.erase(in_flight.begin() + static_cast<std::ptrdiff_t>(at));
                missing.erase(offset);
                window.confirm(Offset{offset});
            }
            const Offset expected = missing.empty() ? window.next() : Offset{*missing.begin()};
            REQUIRE(window.confirmed() == expected);
            REQUIRE(window.in_flight() == in_flight.size());
        }
    }
}
