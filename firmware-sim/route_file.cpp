#include "firmware-sim/route.hpp"

#include <fmt/format.h>
#include <simdjson.h>

#include <cstddef>
#include <optional>
#include <utility>

// A user's road as a file has it. RFC 7946 for GeoJSON: positions are longitude, latitude and
// perhaps altitude.
namespace milepost::fleet {

namespace {

namespace dom = simdjson::dom;

// The coordinates of the one LineString in it, if there is just one.
struct Found {
    std::optional<dom::array> line;
    std::size_t lines = 0;
};

void find_lines(const dom::object& object, Found& found) {
    std::string_view type;
    if (object["type"].get_string().get(type)) return;
    dom::object inner;
    dom::array list;
    if (type == "LineString") {
        if (object["coordinates"].get_array().get(list)) return;
        found.line = list;
        ++found.lines;
    } else if (type == "Feature") {
        // Geometries do not nest here, so that this ends.
        if (!object["geometry"].get_object().get(inner) && inner["features"].error()) {
            std::string_view inner_type;
            if (!inner["type"].get_string().get(inner_type) && inner_type == "LineString") {
                find_lines(inner, found);
            }
        }
    } else if (type == "FeatureCollection") {
        if (object["features"].get_array().get(list)) return;
        for (const dom::element element : list) {
            std::string_view inner_type;
            if (element.get_object().get(inner)) continue;
            if (inner["type"].get_string().get(inner_type) || inner_type != "Feature") continue;
            find_lines(inner, found);
        }
    }
}

bool read_position(const dom::element& element, GeoPoint& point) {
    dom::array numbers;
    if (element.get_array().get(numbers) || numbers.size() < 2) return false;
    point.altitude = 0;
    if (numbers.at(0).get_double().get(point.longitude)) return false;
    if (numbers.at(1).get_double().get(point.latitude)) return false;
    return numbers.size() == 2 || !numbers.at(2).get_double().get(point.altitude);
}

Input<Route> parse_geojson(std::string_view text, const std::string& name) {
    dom::parser parser;
    dom::object object;
    if (parser.parse(text.data(), text.size()).get_object().get(object)) {
        return InputError{name + ": not JSON"};
    }
    Found found;
    find_lines(object, found);
    if (found.lines != 1) {
        return InputError{fmt::format("{}: has {} LineStrings, not one", name, found.lines)};
    }
    std::vector<GeoPoint> points;
    for (const dom::element element : *found.line) {
        GeoPoint point{};
        if (!read_position(element, point)) {
            return InputError{fmt::format("{}: position {} is none", name, points.size() + 1)};
        }
        if (points.size() == Route::points_max) return InputError{name + ": too many points"};
        points.push_back(point);
    }
    return Route::along(std::move(points), name);
}

Input<Route> parse_lines(std::string_view text, const std::string& name) {
    std::vector<GeoPoint> points;
    std::vector<double> numbers;
    std::string error;
    bool is_first = true;
    for_each_line(text, [&](std::size_t number, std::string_view line) {
        const bool may_be_names = std::exchange(is_first, false);
        const bool is_numbers = parse_numbers(line, numbers);
        if (!is_numbers && may_be_names) return true;
        if (!is_numbers || numbers.size() < 2 || numbers.size() > 3) {
            error = fmt::format("{}:{}: not latitude,longitude[,altitude]", name, number);
        } else if (points.size() == Route::points_max) {
            error = name + ": too many points";
        } else {
            const double altitude = numbers.size() == 3 ? numbers[2] : 0;
            points.push_back({.latitude = numbers[0], .longitude = numbers[1], .altitude = altitude}
            );
        }
        return error.empty();
    });
    if (!error.empty()) return InputError{error};
    return Route::along(std::move(points), name);
}

}  // namespace

Input<Route> Route::parse(std::string_view text, const std::string& name) {
    const std::size_t first = text.find_first_not_of(" \t\r\n");
    if (first == std::string_view::npos) return InputError{name + ": is empty"};
    return text[first] == '{' ? parse_geojson(text, name) : parse_lines(text, name);
}

}  // namespace milepost::fleet
