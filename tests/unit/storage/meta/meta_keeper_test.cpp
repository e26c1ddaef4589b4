#include "storage/meta/meta_keeper.hpp"

#include "storage/meta/schema.hpp"
#include "tests/support/matchers.hpp"
#include "tests/support/temp_dir.hpp"

using namespace milepost;
using namespace milepost::storage;
using milepost::test::TempDir;

TEST_CASE("meta_keeper: counts of refused readings go on after a restart", "[meta]") {
    const TempDir dir;
    using Counts = std::vector<RejectedCount>;
    {
        MetaKeeper keeper{open_meta(dir.path()).value()};
        REQUIRE(keeper.load_rejected());
        CHECK(keeper.rejected().empty());
        std::uint64_t refused = 4;
        keeper.count_rejected_by([&] { return Counts{{"no_route", refused}}; });
        keeper.on_checkpoint();
        refused = 6;  // never saved: a crash loses it
        CHECK(keeper.rejected() == Counts{{"no_route", 6}});
    }
    MetaKeeper keeper{open_meta(dir.path()).value()};
    REQUIRE(keeper.load_rejected());
    keeper.count_rejected_by([] { return Counts{{"no_route", 1}, {"too_large", 2}}; });
    CHECK(keeper.rejected() == Counts{{"no_route", 5}, {"too_large", 2}});
}

TEST_CASE("meta_keeper: what it enters is shown at once", "[meta]") {
    const TempDir dir;
    MetaKeeper keeper{open_meta(dir.path()).value()};
    CHECK(keeper.known_gaps().empty());
    REQUIRE(keeper.record({{"t", 0}, Offset{5}, Offset{9}, "rot", Timestamp{1000}}));
    REQUIRE(keeper.known_gaps().size() == 1);
    CHECK(keeper.known_gaps()[0].records == 4);
}
