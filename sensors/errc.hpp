#pragma once

#include "storage/base/result.hpp"

#include <type_traits>

namespace milepost::sensors {

// What can be wrong with a vehicle's bytes. Numbers are never reused or renamed.
enum class Errc {
    bad_vehicle_id = 1,
    payload_too_large,
    not_json,
    missing_field,
    wrong_type,
    unsupported_version,
    unsupported_vocabulary,
    seq_out_of_range,
    time_out_of_range,
    no_signals,
    too_many_signals,
    duplicate_signal,
    number_not_finite,
    string_too_long,
    bad_trouble_code,
    too_many_trouble_codes,
    not_a_ledger,
    bad_ledger_line,
    bad_ignition,
    bad_firmware,
};

[[nodiscard]] const boost::system::error_category& sensors_category();

[[nodiscard]] inline ErrorCode make_error_code(Errc errc) {
    return {static_cast<int>(errc), sensors_category()};
}

}  // namespace milepost::sensors

template <>
struct boost::system::is_error_code_enum<milepost::sensors::Errc> : std::true_type {};
