#include "firmware-sim/route.hpp"

#include <catch2/catch.hpp>

#include <cmath>
#include <string>

using namespace milepost::fleet;

namespace {

std::string error_of(const std::string& text) {
    const auto parsed = Route::parse(text, "f");
    REQUIRE(std::holds_alternative<InputError>(parsed));
    return std::get<InputError>(parsed).what;
}

Route route_of(const std::string& text) {
    auto parsed = Route::parse(text, "f");
    REQUIRE(std::holds_alternative<Route>(parsed));
    return std::get<Route>(std::move(parsed));
}

// A kilometre north, then one east, uphill.
const std::string corner = "[[9,48,100],[9,48.009,110],[9.0134,48.009,130]]";

std::string line_string(const std::string& coordinates) {
    return R"({"type":"LineString","coordinates":)" + coordinates + "}";
}

std::string feature(const std::string& geometry) {
    return R"({"type":"Feature","properties":{"name":"x"},"geometry":)" + geometry + "}";
}

}  // namespace

TEST_CASE("route file: lines and all three shapes of GeoJSON give the same road", "[route]") {
    const Route lines = route_of("lat,lon,alt\n48,9,100\n48.009,9,110\n48.009 9.0134 130\n");
    for (const std::string& text :
         {line_string(corner),
          feature(line_string(corner)),
          R"( {"features":[{"type":"Feature","geometry":{"type":"Point","coordinates":[1,2]}},)" +
              feature(line_string(corner)) + R"(],"type":"FeatureCollection"})"}) {
        const Route route = route_of(text);
        CHECK(route.length() == lines.length());
        CHECK(route.at(700).longitude == lines.at(700).longitude);
    }
}

TEST_CASE("route file: an open road is driven to its end and back", "[route]") {
    const Route route = route_of(line_string(corner));
    CHECK_FALSE(route.is_loop());
    CHECK(route.length() == Approx(2000).epsilon(0.02));
    CHECK(route.at(0).latitude == Approx(48));
    CHECK(route.at(500).heading == Approx(0).margin(0.1));
    CHECK(route.at(1500).heading == Approx(90).margin(0.1));
    CHECK(route.at(route.length()).longitude == Approx(9.0134));
    const auto there = route.at(700);
    const auto back = route.at(2 * route.length() - 700);
    CHECK(back.latitude == Approx(there.latitude));
    CHECK(back.longitude == Approx(there.longitude));
    CHECK(back.heading == Approx(there.heading + 180));
    CHECK(there.grade > 0);
    CHECK(back.grade == Approx(-there.grade));
    CHECK(route.at(2 * route.length() + 700).latitude == Approx(there.latitude));
}

TEST_CASE("route file: a corner becomes a bend to the right", "[route]") {
    const Route route = route_of(line_string(corner));
    double total = 0;
    for (double along = 0; along < route.length(); along += 1) {
        const double curvature = route.at(along).curvature;
        REQUIRE(curvature < 0.001);
        REQUIRE(curvature > -0.1);
        total += curvature;
    }
    CHECK(total == Approx(-1.5708).epsilon(0.05));
}

TEST_CASE("route file: a road that comes back to its start goes round", "[route]") {
    const Route route = route_of("48,9\n48.009,9\n48.009,9.0134\n48,9.0134\n48.0001,9\n");
    CHECK(route.is_loop());
    const double length = route.length();
    CHECK(route.at(length + 10).latitude == Approx(route.at(10).latitude));
    CHECK(route.at(length - 0.5).longitude == Approx(route.at(0.5).longitude).margin(1e-4));
}

TEST_CASE("route file: what is no road is refused", "[route]") {
    CHECK(error_of("") == "f: is empty");
    CHECK(error_of("48,9\n") == "f: fewer than two points");
    CHECK(error_of("48,9\nx\n") == "f:2: not latitude,longitude[,altitude]");
    CHECK(error_of("48,9\n48,9,1,1\n") == "f:2: not latitude,longitude[,altitude]");
    CHECK(error_of("48,9\n48.0001,9\n") == "f: shorter than 100 m");
    CHECK(error_of("0,0\n80,0\n") == "f: longer than 5,000 km");
    CHECK(error_of("48,9\n86,9\n") == "f: a latitude outside -85 to 85");
    CHECK(error_of("48,9\n48,181\n") == "f: a longitude outside -180 to 180");
    CHECK(error_of("48,9\n48,9.1,9001\n") == "f: an altitude outside -500 to 9000 m");
    CHECK(error_of("0,179.9\n0,-179.9\n") == "f: crosses the date line");
    CHECK(error_of("{") == "f: not JSON");
    CHECK(error_of("{}") == "f: has 0 LineStrings, not one");
    CHECK(error_of(line_string("[[9],[9,48]]")) == "f: position 1 is none");
    CHECK(error_of(line_string(R"([[9,48],"x"])")) == "f: position 2 is none");
    CHECK(error_of(feature(feature(line_string(corner)))) == "f: has 0 LineStrings, not one");
    const std::string two = feature(line_string(corner)) + ',' + feature(line_string(corner));
    CHECK(
        error_of(R"({"type":"FeatureCollection","features":[)" + two + "]}") ==
        "f: has 2 LineStrings, not one"
    );
}
