#include "gateway/tool/start_offset.hpp"

#include <catch2/catch.hpp>

using namespace milepost;
using namespace milepost::tool;

TEST_CASE("start offset: kcat's words", "[tool]") {
    CHECK(parse_offset("beginning") == OffsetChoice{Beginning{}});
    CHECK(parse_offset("end") == OffsetChoice{End{}});
    CHECK(parse_offset("0") == OffsetChoice{AtOffset{0}});
    CHECK(parse_offset("9223372036854775807") == OffsetChoice{AtOffset{9223372036854775807}});
    CHECK(parse_offset("-10") == OffsetChoice{BeforeEnd{10}});
    CHECK(parse_offset("s@1795393770318") == OffsetChoice{FromTime{Timestamp{1795393770318}}});
    CHECK(parse_offset("e@5") == OffsetChoice{UntilTime{Timestamp{5}}});
}

TEST_CASE("start offset: anything else is refused", "[tool]") {
    for (const auto* wrong :
         {"",
          "-",
          "--1",
          "1x",
          "x",
          "s@",
          "s@-1",
          "e@x",
          "@1",
          " 1",
          "9223372036854775808",
          "Begin"}) {
        CAPTURE(wrong);
        CHECK_FALSE(parse_offset(wrong));
    }
}
