#pragma once

#include "storage/base/time.hpp"

#include <chrono>

// SIGINT and SIGTERM as a question that a long command asks from time to time.
namespace milepost::tool {

// From now on they do not end the program.
void listen_for_stop();
[[nodiscard]] bool is_stop_asked();
// The longest that a command waits without asking.
inline constexpr Duration wait_slice = std::chrono::milliseconds{100};

}  // namespace milepost::tool
