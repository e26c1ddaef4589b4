#include "gateway/upstream/rdkafka_headers.hpp"

#include "tests/support/matchers.hpp"

#include <array>
#include <string_view>

using namespace milepost;
using namespace milepost::upstream;
using namespace std::string_view_literals;

namespace {

HeadersHandle make_list(HeaderLists& lists, std::string_view name, std::string_view value) {
    const std::array headers{storage::HeaderView{.name = name, .value = as_bytes(value)}};
    return lists.make(headers);
}

}  // namespace

TEST_CASE(
    "rdkafka_headers: a list that is kept is used for names and lengths alike",
    "[upstream]"
) {
    HeaderLists lists{1};
    auto list = make_list(lists, "id", "1");
    const auto* const first = list.get();
    lists.keep(std::move(list));
    REQUIRE(lists.kept() == 1);
    CHECK(make_list(lists, "id", "2").get() == first);
    CHECK(lists.kept() == 0);
}

TEST_CASE("rdkafka_headers: no list is used again once a name held a NUL", "[upstream]") {
    HeaderLists lists{2};
    lists.keep(make_list(lists, "id", "1"));
    // To who does not know its length, this name is "id".
    auto list = make_list(lists, "id\0x"sv, "1");
    CHECK(lists.kept() == 0);
    lists.keep(std::move(list));
    CHECK(lists.kept() == 0);
}
