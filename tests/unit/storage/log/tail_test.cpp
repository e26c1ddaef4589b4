#include "storage/log/tail.hpp"

#include <catch2/catch.hpp>

#include <string_view>

namespace milepost::storage {

namespace {

TailEntry entry(
    std::int64_t base,
    std::int64_t next,
    std::string_view bytes,
    std::int64_t time = 0
) {
    return {
        .base = Offset{base},
        .next = Offset{next},
        .batch = as_bytes(bytes),
        .max_timestamp = Timestamp{time}};
}

}  // namespace

TEST_CASE("tail: a read begins with the batch that holds the offset", "[tail]") {
    Tail tail;
    tail.push(entry(5, 8, "aaa"));
    tail.push(entry(8, 10, "bb"));
    tail.push(entry(10, 11, "c"));
    Buffer buffer;

    const auto copied = tail.copy(Offset{9}, 100, buffer);
    CHECK(copied.first == Offset{8});
    CHECK(copied.next == Offset{11});
    CHECK(as_text(buffer) == "bbc");
}

TEST_CASE("tail: a read keeps to its limit but gives at least one batch", "[tail]") {
    Tail tail;
    tail.push(entry(0, 3, "aaa"));
    tail.push(entry(3, 5, "bb"));
    tail.push(entry(5, 6, "c"));
    Buffer one;
    CHECK(tail.copy(Offset{0}, 1, one).next == Offset{3});
    CHECK(as_text(one) == "aaa");
    Buffer two;
    CHECK(tail.copy(Offset{0}, 5, two).next == Offset{5});
    CHECK(as_text(two) == "aaabb");
}

TEST_CASE("tail: a read stops at a hole and goes on behind it", "[tail]") {
    Tail tail;
    tail.push(entry(0, 2, "aa"));
    tail.push(entry(7, 8, "b"));
    Buffer before;
    CHECK(tail.copy(Offset{0}, 100, before).next == Offset{2});
    CHECK(as_text(before) == "aa");
    Buffer behind;
    const auto copied = tail.copy(Offset{2}, 100, behind);
    CHECK(copied.first == Offset{7});
    CHECK(copied.next == Offset{8});
    CHECK(as_text(behind) == "b");
}

TEST_CASE("tail: behind its end there is nothing", "[tail]") {
    Tail tail;
    tail.push(entry(0, 2, "aa"));
    Buffer buffer;
    const auto copied = tail.copy(Offset{2}, 100, buffer);
    CHECK(copied.first == copied.next);
    CHECK(buffer.empty());
}

TEST_CASE("tail: entries that the segments have are dropped, one that straddles stays", "[tail]") {
    Tail tail;
    tail.push(entry(0, 2, "aa"));
    tail.push(entry(2, 6, "bbbb"));
    tail.drop_before(Offset{4});
    REQUIRE(tail.size() == 1);
    CHECK(tail.begin() == Offset{2});
    CHECK(tail.end() == Offset{6});
    tail.drop_before(Offset{6});
    CHECK(tail.empty());
}

TEST_CASE("tail: a timestamp is found in the first batch that reaches it", "[tail]") {
    Tail tail;
    tail.push(entry(0, 2, "aa", 10));
    tail.push(entry(2, 3, "b", 30));
    CHECK(tail.find_timestamp(Timestamp{10})->base == Offset{0});
    CHECK(tail.find_timestamp(Timestamp{11})->base == Offset{2});
    CHECK_FALSE(tail.find_timestamp(Timestamp{31}).has_value());
}

}  // namespace milepost::storage
