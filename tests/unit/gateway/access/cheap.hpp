#pragma once

#include "gateway/access/scrypt.hpp"

#include <chrono>

namespace milepost::access {

// What tests hash with, and how long they wait for it.
inline constexpr ScryptCost cheap{10, 1, 1};
inline constexpr auto limit = std::chrono::seconds{10};

}  // namespace milepost::access
