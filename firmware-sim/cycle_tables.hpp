#pragma once

#include <cstdint>
#include <span>

// The figures of the standards' driving cycles, as published. Alive for ever.
namespace milepost::fleet {

// UN Global Technical Regulation No. 15, the WLTC for vehicles of class 3b: one speed for each
// second from 0 to 1800, in tenths of km/h.
[[nodiscard]] std::span<const std::int16_t> wltc_class_3b_table();

// 40 CFR Part 86, appendix I: the Urban Dynamometer Driving Schedule, of which FTP-75 is made. One
// speed for each second from 0 to 1369, in tenths of miles per hour.
[[nodiscard]] std::span<const std::int16_t> udds_table();

// From the speed before to this one, evenly.
struct CycleOperation {
    std::int16_t seconds;
    std::int16_t speed;  // km/h
};

// UN Regulation No. 83, annex 4a: the operations of the elementary urban cycle (195 s) and of the
// extra-urban cycle (400 s), of which the NEDC is made.
[[nodiscard]] std::span<const CycleOperation> ece_15_operations();
[[nodiscard]] std::span<const CycleOperation> extra_urban_operations();

}  // namespace milepost::fleet
