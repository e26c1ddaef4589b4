#pragma once

#include "firmware-sim/input_file.hpp"

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace milepost::fleet {

struct RoutePoint {
    double latitude;   // degrees
    double longitude;  // degrees
    double altitude;   // m
    double heading;    // degrees clockwise from north, 0 <= heading < 360
    double curvature;  // 1/m, positive where the road turns left
    double grade;      // metres up per metre
};

struct GeoPoint {
    double latitude;   // degrees, -85 to 85
    double longitude;  // degrees, -180 to 180
    double altitude;   // m
};

// A road, walked by distance: a loop round and round, any other to its end and back. Constant.
class Route {
public:
    static constexpr std::size_t points_max = 200'000;
    static constexpr double length_min = 100;        // m
    static constexpr double length_max = 5'000'000;  // m

    // The shipped loop: smooth, about 40 km through hilly country round a point in the Swabian
    // uplands, up and down by 120 m.
    Route();

    // A road through these points, corners rounded; a loop if it ends within 50 m of its start.
    // `name` is what an error calls them.
    [[nodiscard]] static Input<Route> along(std::vector<GeoPoint> points, const std::string& name);

    // A file's text: GeoJSON with one LineString (bare, in a Feature or in a FeatureCollection), or
    // lines `latitude,longitude[,altitude]`, of which the first may have names.
    [[nodiscard]] static Input<Route> parse(std::string_view text, const std::string& name);

    [[nodiscard]] double length() const { return length_; }  // m, one way

    [[nodiscard]] bool is_loop() const { return is_loop_; }

    // The place after `distance` metres (>= 0).
    [[nodiscard]] RoutePoint at(double distance) const;

private:
    struct Node {
        double distance;  // m from the start
        GeoPoint place;
        double heading;  // radians clockwise from north, not wrapped
        double curvature;
    };

    // The last of a loop is the first again.
    Route(const std::vector<GeoPoint>& points, bool is_loop);

    std::vector<Node> nodes_;
    double length_ = 0;
    bool is_loop_;
};

}  // namespace milepost::fleet
