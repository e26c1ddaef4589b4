#pragma once

#include <chrono>
#include <optional>
#include <string_view>

namespace milepost::fleet {

// "500ms", "30s", "5m", "2h"; a bare number is seconds. Nothing for anything else and for more than
// a year.
[[nodiscard]] std::optional<std::chrono::milliseconds> parse_duration(std::string_view text);

}  // namespace milepost::fleet
