#include "firmware-sim/outbox.hpp"

#include <catch2/catch.hpp>

#include <vector>

using namespace milepost::fleet;

namespace {

// Fills with the numbers 1 to `count`.
Outbox filled(std::size_t readings_max, std::uint64_t count) {
    Outbox outbox{readings_max};
    for (std::uint64_t seq = 1; seq <= count; ++seq) {
        REQUIRE_FALSE(outbox.push(seq, "p"));
    }
    return outbox;
}

// Hands out all that wait, in order.
std::vector<std::uint64_t> hand_all(Outbox& outbox) {
    std::vector<std::uint64_t> seqs;
    while (const auto* entry = outbox.next_waiting()) {
        seqs.push_back(entry->seq);
        outbox.mark_handed();
    }
    return seqs;
}

}  // namespace

TEST_CASE("outbox: readings leave in order and stay until they are removed", "[outbox]") {
    Outbox outbox = filled(10, 3);
    CHECK(hand_all(outbox) == std::vector<std::uint64_t>{1, 2, 3});
    CHECK(outbox.size() == 3);
    CHECK(outbox.handed() == 3);
    CHECK(outbox.remove(2));
    CHECK_FALSE(outbox.remove(2));
    CHECK(outbox.remove(1));
    CHECK(outbox.remove(3));
    CHECK(outbox.size() == 0);
    CHECK(outbox.handed() == 0);
}

TEST_CASE("outbox: a full one drops the oldest that waits, never one that is handed", "[outbox]") {
    Outbox outbox = filled(3, 3);
    outbox.mark_handed();
    CHECK(outbox.push(4, "p") == 2U);
    CHECK(outbox.push(5, "p") == 3U);
    CHECK(hand_all(outbox) == std::vector<std::uint64_t>{4, 5});
    CHECK(outbox.push(6, "p") == 6U);
    CHECK(outbox.size() == 3);
    CHECK(outbox.remove(1));
    CHECK_FALSE(outbox.push(7, "p"));
    CHECK(hand_all(outbox) == std::vector<std::uint64_t>{7});
}

TEST_CASE("outbox: what the network lost is handed out again first, in order", "[outbox]") {
    Outbox outbox = filled(10, 4);
    outbox.mark_handed();
    outbox.mark_handed();
    outbox.mark_handed();
    CHECK(outbox.remove(2));
    outbox.take_back_all();
    CHECK(outbox.handed() == 0);
    CHECK_FALSE(outbox.mark_handed());  // 1 was handed before
    CHECK(outbox.next_waiting()->seq == 3);
    CHECK_FALSE(outbox.mark_handed());
    CHECK(outbox.mark_handed());  // 4 was not
    CHECK(outbox.next_waiting() == nullptr);
}

TEST_CASE("outbox: one that comes back goes out before what waits behind it", "[outbox]") {
    Outbox outbox = filled(10, 4);
    outbox.mark_handed();
    outbox.mark_handed();
    outbox.mark_handed();
    CHECK(outbox.take_back(2));
    CHECK_FALSE(outbox.take_back(2));
    CHECK_FALSE(outbox.take_back(4));
    CHECK_FALSE(outbox.take_back(9));
    CHECK(hand_all(outbox) == std::vector<std::uint64_t>{2, 4});
}

TEST_CASE("outbox: a waiting reading that is removed leaves the next one waiting", "[outbox]") {
    Outbox outbox = filled(10, 3);
    outbox.mark_handed();
    CHECK(outbox.remove(2));
    CHECK(outbox.next_waiting()->seq == 3);
    CHECK(outbox.remove(1));
    CHECK(outbox.next_waiting()->seq == 3);
}
