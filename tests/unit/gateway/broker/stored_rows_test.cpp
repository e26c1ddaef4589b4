#include "gateway/broker/stored_rows.hpp"

#include <catch2/catch.hpp>

#include <string>
#include <vector>

namespace milepost::broker {
namespace {

TEST_CASE("stored rows: keys are no client id's and say what they are of", "[broker]") {
    CHECK(key_of_row(0x1F).front() == '\0');
    CHECK(row_of_key(key_of_row(0xFFFFFFFFFFFFFFFF)) == 0xFFFFFFFFFFFFFFFF);
    CHECK(retained_topic_of_key(key_of_retained("a/b")) == "a/b");
    CHECK_FALSE(row_of_key(key_of_retained("1f")));
    CHECK_FALSE(retained_topic_of_key(key_of_row(7)));
    CHECK_FALSE(row_of_key("V1"));
    CHECK_FALSE(row_of_key(key_of_row(7) + "x"));
}

TEST_CASE("stored rows: are unused when the last queue lets go, numbers never return", "[broker]") {
    StoredRows rows;
    rows.note(41);
    StoredRowPtr first = rows.make();
    const StoredRowPtr second = first;
    CHECK(first->number() == 42);
    first.reset();
    CHECK_FALSE(rows.has_unused());
    const StoredRowPtr restored = rows.restore(50);
    CHECK(rows.make()->number() == 51);
    CHECK(rows.take_unused() == std::vector<std::uint64_t>{51});
    CHECK_FALSE(rows.has_unused());
}

}  // namespace
}  // namespace milepost::broker
