#include "gateway/forward/transaction_size.hpp"

#include <catch2/catch.hpp>

#include <chrono>

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
    size.committed(4000, milliseconds{240});
    CHECK(size.records() == 4000 * 4);
    size.committed(16'000, milliseconds{480});
    CHECK(size.records() == 16'000 * 2);
    size.committed(32'000, milliseconds{900});
    CHECK(size.records() == 32'000);
}

TEST_CASE("transaction_size: a small one says nothing about large ones", "[forward]") {
    TransactionSize size;
    size.committed(3, milliseconds{1});
    CHECK(size.records() == TransactionSize::records_first);
}

TEST_CASE("transaction_size: a slow or lost one makes the next smaller, never empty", "[forward]") {
    TransactionSize size;
    size.committed(400, seconds{3});
    CHECK(size.records() == 200);
    for (int i = 0; i < 10; ++i) {
        size.lost();
    }
    CHECK(size.records() == 1);
    size.committed(1, milliseconds{1});
    CHECK(size.records() == 8);
}
