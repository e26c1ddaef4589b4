#pragma once

#include <vector>

namespace milepost::fleet {

struct RoutePoint {
    double latitude;   // degrees
    double longitude;  // degrees
    double altitude;   // m
    double heading;    // degrees clockwise from north, 0 <= heading < 360
    double curvature;  // 1/m, positive where the road turns left
};

// A closed road: a smooth loop through hilly country, walked by distance. Pure and constant.
class Route {
public:
    // The shipped loop: about 40 km round a point in the Swabian uplands, up and down by 120 m.
    Route();

    [[nodiscard]] double length() const { return length_; }  // m

    // The place after `distance` metres (>= 0); goes round and round.
    [[nodiscard]] RoutePoint at(double distance) const;

private:
    struct Node {
        double distance;  // m from the start
        double east;      // m from the centre
        double north;     // m
        double altitude;  // m
        double heading;   // radians clockwise from north, not wrapped
        double curvature;
    };

    std::vector<Node> nodes_;  // the last is the first, one round later
    double length_ = 0;
};

}  // namespace milepost::fleet
