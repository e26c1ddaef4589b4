#pragma once

#include "storage/base/result.hpp"

#include <compare>
#include <cstddef>
#include <string>
#include <string_view>

namespace milepost::sensors {

inline constexpr std::size_t vehicle_id_bytes_max = 64;

// True for 1 to 64 of [A-Za-z0-9._-]: safe as an MQTT topic level and client id, as a Kafka key and
// as a field of the ledger.
[[nodiscard]] bool is_vehicle_id(std::string_view text);

// A vehicle's name. Always valid; made by parse() only.
class VehicleId {
public:
    [[nodiscard]] static Result<VehicleId> parse(std::string_view text);

    [[nodiscard]] const std::string& text() const { return text_; }

    friend auto operator<=>(const VehicleId&, const VehicleId&) = default;

private:
    explicit VehicleId(std::string_view text)
        : text_(text) {}

    std::string text_;
};

}  // namespace milepost::sensors
