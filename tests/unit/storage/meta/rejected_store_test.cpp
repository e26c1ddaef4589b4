#include "storage/meta/rejected_store.hpp"

#include "storage/meta/schema.hpp"
#include "tests/support/matchers.hpp"
#include "tests/support/temp_dir.hpp"

using namespace milepost;
using namespace milepost::storage;
using milepost::test::TempDir;

TEST_CASE("rejected_store: the last counts are there again", "[meta]") {
    const TempDir dir;
    using Counts = std::vector<RejectedCount>;
    {
        auto connection = open_meta(dir.path());
        REQUIRE(connection);
        RejectedStore store{*connection};
        CHECK(store.load().value().empty());
        REQUIRE(store.save(Counts{{"no_route", 3}, {"acl", 1}}));
        REQUIRE(store.save(Counts{{"no_route", 5}}));
    }
    auto connection = open_meta(dir.path());
    REQUIRE(connection);
    CHECK(RejectedStore{*connection}.load().value() == Counts{{"acl", 1}, {"no_route", 5}});
}
