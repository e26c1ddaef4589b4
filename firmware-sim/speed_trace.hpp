#pragma once

#include "firmware-sim/input_file.hpp"

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace milepost::fleet {

// What a driver follows: the speed over time, straight lines between points, round and round. Pure
// and constant.
class SpeedTrace {
public:
    static constexpr std::size_t points_max = 200'000;
    static constexpr double speed_max = 300;        // km/h
    static constexpr double acceleration_max = 12;  // m/s^2, either way: a car on dry tar
    static constexpr double seconds_max = 7 * 86'400;

    struct Point {
        double seconds;   // the first is at 0, then rising
        double speed;     // m/s
        bool is_ignited;  // from here to the next point
    };

    // UN GTR 15, class 3b: 1,800 s, 23.27 km.
    [[nodiscard]] static SpeedTrace wltp();

    // UN Regulation 83: four urban cycles and an extra-urban one, 1,180 s, 11.0 km.
    [[nodiscard]] static SpeedTrace nedc();

    // 40 CFR 86: the UDDS with a cold engine, ten minutes with the engine off, its first 505 s
    // again; 2,474 s, 17.8 km.
    [[nodiscard]] static SpeedTrace ftp_75();

    // One of the standards by its name: wltp, nedc, ftp-75.
    [[nodiscard]] static std::optional<SpeedTrace> named(std::string_view name);

    // Lines `seconds,km/h[,ignition]`, ignition being 0 or 1; a line of names may be the first.
    // `name` is what an error calls the text.
    [[nodiscard]] static Input<SpeedTrace> parse_csv(
        std::string_view text,
        const std::string& name
    );

    // The time of one round; greater than 0.
    [[nodiscard]] double seconds() const { return points_.back().seconds; }

    struct Place {
        double speed;  // m/s
        bool is_ignited;
    };

    // At `seconds` >= 0 of any round.
    [[nodiscard]] Place at(double seconds) const;

    [[nodiscard]] const std::vector<Point>& points() const { return points_; }

private:
    explicit SpeedTrace(std::vector<Point> points)
        : points_(std::move(points)) {}

    std::vector<Point> points_;  // two at least
};

}  // namespace milepost::fleet
