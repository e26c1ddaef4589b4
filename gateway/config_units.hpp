#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

// Amounts as people write them. nullopt for anything else, also for what overflows.
namespace milepost {

// "64MiB", "1 GB", "512B" → bytes.
[[nodiscard]] std::optional<std::int64_t> parse_bytes(std::string_view text);

// "20ms", "10s", "5min", "1h", "7d" → milliseconds.
[[nodiscard]] std::optional<std::int64_t> parse_milliseconds(std::string_view text);

}  // namespace milepost
