#include "storage/meta/position_store.hpp"

#include "storage/meta/schema.hpp"
#include "tests/support/matchers.hpp"
#include "tests/support/temp_dir.hpp"

#include <array>

using namespace milepost;
using namespace milepost::storage;
using milepost::test::TempDir;

TEST_CASE("position_store: positions survive, the last one wins", "[meta]") {
    const TempDir dir;
    {
        auto connection = open_meta(dir.path());
        REQUIRE(connection);
        PositionStore store{*connection};
        const std::array first{
            ForwardPosition{{"vehicle.telemetry", 0}, Offset{10}},
            ForwardPosition{{"vehicle.telemetry", 1}, Offset{20}},
        };
        REQUIRE(store.save("00000000000000aa", first));
        const std::array second{
            ForwardPosition{{"vehicle.telemetry", 0}, Offset{11}, Offset{8}},
            ForwardPosition{{"vehicle.telemetry", 2}, Offset{5}, Offset{0}}};
        REQUIRE(store.save("00000000000000aa", second));
    }
    auto connection = open_meta(dir.path());
    REQUIRE(connection);
    const auto loaded = PositionStore{*connection}.load("00000000000000aa");
    REQUIRE(loaded);
    CHECK(
        loaded.value() ==
        std::vector<ForwardPosition>{
            {{"vehicle.telemetry", 0}, Offset{11}, Offset{8}},
            {{"vehicle.telemetry", 1}, Offset{20}, std::nullopt},
            {{"vehicle.telemetry", 2}, Offset{5}, Offset{0}},
        }
    );
}

TEST_CASE("position_store: a position of another log id is never given", "[meta]") {
    const TempDir dir;
    auto connection = open_meta(dir.path());
    REQUIRE(connection);
    PositionStore store{*connection};
    const std::array positions{ForwardPosition{{"t", 0}, Offset{10}}};
    REQUIRE(store.save("00000000000000aa", positions));
    const auto other = store.load("00000000000000bb");
    REQUIRE(other);
    CHECK(other.value().empty());
}
