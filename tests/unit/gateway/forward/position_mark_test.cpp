#include "gateway/forward/position_mark.hpp"

#include <catch2/catch.hpp>

using namespace milepost::forward;
using milepost::storage::Offset;

TEST_CASE("position_mark: what was written is read back", "[forward]") {
    const PositionMark mark{"00000000000000aa", "1122334455667788", Offset{1'234'567}};
    const auto text = mark_text(mark);
    CHECK(text == "milepost/1 log=00000000000000aa instance=1122334455667788 offset=1234567");
    CHECK(parse_mark(text) == mark);
}

TEST_CASE("position_mark: anything else is not a gateway's", "[forward]") {
    for (const auto* text : {
             "",
             "milepost/1",
             "milepost/2 log=a instance=b offset=1",
             "milepost/1 log= instance=b offset=1",
             "milepost/1 log=a instance=b offset=-1",
             "milepost/1 log=a instance=b offset=1x",
             "milepost/1 log=a instance=b offset=1 ",
             "milepost/1 log=a instance=b offset=99999999999999999999",
             "something else",
         }) {
        INFO(text);
        CHECK_FALSE(parse_mark(text));
    }
}
