#include "sensors/vehicle_id.hpp"

#include "sensors/errc.hpp"
#include "tests/support/matchers.hpp"

#include <catch2/catch.hpp>

#include <string>

using namespace milepost::sensors;

TEST_CASE("vehicle id: letters, digits, dot, underscore and hyphen are a name", "[vehicle_id]") {
    const std::string cases[] = {"V0001", "a", "WVW-ZZZ_1.2", std::string(64, 'x')};
    for (const std::string& text : cases) {
        INFO(text);
        const auto id = VehicleId::parse(text);
        REQUIRE(id.has_value());
        CHECK(id->text() == text);
    }
}

TEST_CASE("vehicle id: what would break a topic, a line or a limit is refused", "[vehicle_id]") {
    const std::string cases[] = {
        "",
        "a/b",
        "+",
        "#",
        "$SYS",
        "a b",
        "a\tb",
        "a\nb",
        std::string(1, '\0'),
        "ä",
        std::string(65, 'x')};
    for (const std::string& text : cases) {
        INFO(text);
        const auto id = VehicleId::parse(text);
        REQUIRE(id.has_error());
        CHECK(id.error() == Errc::bad_vehicle_id);
    }
}
