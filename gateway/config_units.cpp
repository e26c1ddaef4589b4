#include "gateway/config_units.hpp"

#include <array>
#include <charconv>
#include <span>

namespace milepost {

namespace {

struct Unit {
    std::string_view name;
    std::int64_t factor;
};

constexpr std::array byte_units{
    Unit{"B", 1},
    Unit{"KiB", 1LL << 10},
    Unit{"MiB", 1LL << 20},
    Unit{"GiB", 1LL << 30},
    Unit{"TiB", 1LL << 40},
    Unit{"kB", 1'000},
    Unit{"MB", 1'000'000},
    Unit{"GB", 1'000'000'000},
    Unit{"TB", 1'000'000'000'000},
};
constexpr std::array time_units{
    Unit{"ms", 1},
    Unit{"s", 1'000},
    Unit{"min", 60'000},
    Unit{"h", 3'600'000},
    Unit{"d", 86'400'000},
};

std::optional<std::int64_t> with_unit(std::string_view text, std::span<const Unit> units) {
    std::int64_t value = 0;
    const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (failed != std::errc{} || value < 0) return std::nullopt;
    std::string_view name{end, static_cast<std::size_t>(text.data() + text.size() - end)};
    while (name.starts_with(' '))
        name.remove_prefix(1);
    for (const auto& unit : units) {
        std::int64_t product = 0;
        if (unit.name == name && !__builtin_mul_overflow(value, unit.factor, &product)) {
            return product;
        }
    }
    return std::nullopt;
}

}  // namespace

std::optional<std::int64_t> parse_bytes(std::string_view text) {
    return with_unit(text, byte_units);
}

std::optional<std::int64_t> parse_milliseconds(std::string_view text) {
    return with_unit(text, time_units);
}

}  // namespace milepost
