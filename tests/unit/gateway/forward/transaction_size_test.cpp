#include "gateway/forward/transaction_size.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>

using namespace milepost::forward;
using std::chrono::milliseconds;
using std::chrono::seconds;

TEST_CASE("transaction_size: grows to its limit while full ones are quick", "[forward]") {
    TransactionSize size;
    for (int i = 0; i < 20; ++i) {
        size.committed(size.records(), milliseconds{50});
    }
    CHECK(size.records() == TransactionSize::records_most);
}

TEST_CASE("transaction_size: grows to what takes a second at most", "[forward]") {
    TransactionSize size;
    size.committed(500, milliseconds{60});
    CHECK(size.records() == 500 * 8);
    size.committed(4000, milliseconds{480});
    CHECK(size.records() == 4000 * 2);
    size.committed(8000, milliseconds{960});
    CHECK(size.records() == 8000);
}

TEST_CASE("transaction_size: a small one says nothing about large ones", "[forward]") {
    TransactionSize size;
    size.committed(3, milliseconds{1});
    CHECK(size.records() == TransactionSize::records_first);
    size.committed(3, seconds{5});
    CHECK(size.records() == TransactionSize::records_first);
}

namespace {

struct Link {
    milliseconds round_trip;
    std::int64_t records_per_s;

    // Five round trips, and the records.
    [[nodiscard]] milliseconds takes(std::size_t records) const {
        return round_trip * 5 +
               milliseconds{static_cast<std::int64_t>(records) * 1000 / records_per_s};
    }

    // Nothing but a backlog; the longest.
    milliseconds drain(TransactionSize& size, int transactions) const {
        milliseconds longest{0};
        for (int i = 0; i < transactions; ++i) {
            const auto took = takes(size.records());
            longest = std::max(longest, took);
            size.committed(size.records(), took);
        }
        return longest;
    }
};

}  // namespace

TEST_CASE("transaction_size: long round trips alone do not keep it small", "[forward]") {
    const Link link{
        .round_trip = GENERATE(milliseconds{170}, milliseconds{700}, milliseconds{1500}),
        .records_per_s = 1'000'000};
    TransactionSize size;
    for (int i = 0; i < 50; ++i)
        size.committed(5, link.takes(5));
    CHECK(size.records() == TransactionSize::records_first);
    SECTION("after idle traffic") {}
    SECTION("with a backlog from the start") {
        size = {};
    }
    link.drain(size, 20);
    if (link.round_trip < seconds{1}) CHECK(size.records() == TransactionSize::records_most);
    if (link.round_trip > seconds{1}) CHECK(size.records() >= TransactionSize::records_first / 2);
}

TEST_CASE("transaction_size: a link that becomes longer is no thin one", "[forward]") {
    TransactionSize size;
    Link{.round_trip = milliseconds{1}, .records_per_s = 1'000'000}.drain(size, 20);
    REQUIRE(size.records() == TransactionSize::records_most);
    Link{.round_trip = milliseconds{600}, .records_per_s = 1'000'000}.drain(size, 10);
    CHECK(size.records() >= TransactionSize::records_most / 2);
}

TEST_CASE("transaction_size: a thin link never comes near the time-out", "[forward]") {
    // 20 kB/s with records of 300 bytes.
    const Link link{
        .round_trip = GENERATE(milliseconds{20}, milliseconds{700}),
        .records_per_s = 67};
    TransactionSize size;
    SECTION("a backlog from the start") {}
    SECTION("after idle traffic") {
        for (int i = 0; i < 50; ++i)
            size.committed(5, link.takes(5));
    }
    CHECK(link.drain(size, 50) <= seconds{16});
    CHECK(size.records() >= 20);
    CHECK(link.takes(size.records()) <= link.round_trip * 5 + seconds{3});
}

TEST_CASE("transaction_size: after a loss it is smaller and grows again", "[forward]") {
    const Link link{.round_trip = milliseconds{200}, .records_per_s = 1'000'000};
    TransactionSize size;
    link.drain(size, 20);
    size.lost(seconds{3});
    CHECK(size.records() == TransactionSize::records_most / 4);
    for (int i = 0; i < 10; ++i)
        size.lost(seconds{3});
    CHECK(size.records() == TransactionSize::records_first);
    link.drain(size, 10);
    CHECK(size.records() == TransactionSize::records_most);
}

TEST_CASE(
    "transaction_size: what runs out of time makes the next smaller, never empty",
    "[forward]"
) {
    TransactionSize size;
    for (int i = 0; i < 10; ++i)
        size.lost(seconds{60});
    CHECK(size.records() == 1);
    size.committed(1, milliseconds{1});
    CHECK(size.records() == 8);
}
