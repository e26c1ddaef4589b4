#include "sensors/vehicle_id.hpp"

#include "sensors/errc.hpp"

#include <algorithm>

namespace milepost::sensors {

namespace {

bool is_id_character(char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
}

}  // namespace

bool is_vehicle_id(std::string_view text) {
    return !text.empty() && text.size() <= vehicle_id_bytes_max &&
           std::all_of(text.begin(), text.end(), is_id_character);
}

Result<VehicleId> VehicleId::parse(std::string_view text) {
    if (!is_vehicle_id(text)) return Errc::bad_vehicle_id;
    return VehicleId{text};
}

}  // namespace milepost::sensors
