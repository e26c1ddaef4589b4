#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace milepost::admin {

// A request target in origin form (RFC 9112, 3.2.1): path and query, percent-decoded. Pure.
struct Target {
    std::string path;
    std::map<std::string, std::string, std::less<>> query;

    // The parameter; nullptr if it is not there.
    [[nodiscard]] const std::string* find(std::string_view name) const;
    // A whole decimal number within the limits; nullopt if absent or anything else.
    [[nodiscard]] std::optional<std::int64_t> number(std::string_view name) const;
};

inline constexpr std::size_t query_parameters_max = 32;

// nullopt: not an origin form, a broken escape, or too many parameters.
[[nodiscard]] std::optional<Target> parse_target(std::string_view text);

}  // namespace milepost::admin
