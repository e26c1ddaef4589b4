#include "gateway/listener/publish_memory.hpp"

#include <catch2/catch.hpp>

#include <vector>

namespace milepost::listener {

namespace {

Remembered publish(unsigned id, std::uint64_t hash = 7) {
    return {.hash = hash, .packet_id = static_cast<mqtt::PacketId>(id)};
}

std::vector<unsigned> ids(const DuplicateWindow& window) {
    std::vector<unsigned> all;
    window.for_each([&](const Remembered& entry) { all.push_back(entry.packet_id); });
    return all;
}

}  // namespace

TEST_CASE("duplicate window: knows a publish by packet id and content", "[publish_memory]") {
    DuplicateWindow window;
    window.add(publish(1));
    CHECK(window.contains(publish(1)));
    CHECK_FALSE(window.contains(publish(2)));
    CHECK_FALSE(window.contains(publish(1, 8)));
}

TEST_CASE("duplicate window: forgets the oldest when it is full", "[publish_memory]") {
    DuplicateWindow window;
    for (unsigned i = 1; i <= DuplicateWindow::entries_max + 3; ++i)
        window.add(publish(i));
    CHECK(window.size() == DuplicateWindow::entries_max);
    CHECK_FALSE(window.contains(publish(3)));
    CHECK(window.contains(publish(4)));
    CHECK(ids(window).front() == 4);
    CHECK(ids(window).back() == DuplicateWindow::entries_max + 3);
}

TEST_CASE("duplicate window: what comes again is the youngest, once", "[publish_memory]") {
    DuplicateWindow window;
    for (unsigned i = 1; i <= 4; ++i)
        window.add(publish(i));
    window.add_again(publish(2));
    CHECK(ids(window) == std::vector<unsigned>{1, 3, 4, 2});
    window.add_again(publish(2));
    CHECK(ids(window) == std::vector<unsigned>{1, 3, 4, 2});
}

TEST_CASE("duplicate window: coming again keeps the order of a full one", "[publish_memory]") {
    constexpr unsigned full = DuplicateWindow::entries_max;
    DuplicateWindow window;
    for (unsigned i = 1; i <= full + 2; ++i)
        window.add(publish(i));  // 3 … full + 2
    window.add_again(publish(5));
    std::vector<unsigned> expected{3, 4};
    for (unsigned i = 6; i <= full + 2; ++i)
        expected.push_back(i);
    expected.push_back(5);
    CHECK(ids(window) == expected);
    window.add(publish(1));
    CHECK(ids(window).front() == 4);
    CHECK(ids(window).back() == 1);
}

TEST_CASE(
    "unreleased publishes: a packet id is there once, until it is erased",
    "[publish_memory]"
) {
    UnreleasedPublishes unreleased;
    CHECK(unreleased.find(5) == nullptr);
    for (const unsigned id : {5U, 1U, 65535U, 3U})
        unreleased.put(publish(id));
    unreleased.put(publish(3, 9));
    CHECK(unreleased.size() == 4);
    REQUIRE(unreleased.find(3) != nullptr);
    CHECK(unreleased.find(3)->hash == 9);
    CHECK(unreleased.find(4) == nullptr);
    CHECK(unreleased.erase(3));
    CHECK_FALSE(unreleased.erase(3));
    CHECK(unreleased.find(3) == nullptr);
    CHECK(unreleased.find(65535) != nullptr);
}

}  // namespace milepost::listener
