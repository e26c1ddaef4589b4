#pragma once

#include <span>
#include <string_view>

// What becomes of each property that librdkafka has. Only for rdkafka_properties.cpp and its tests.
namespace milepost::upstream {

struct PropertyRule {
    std::string_view name;
    std::string_view refusal{};  // why it would break a promise; empty: it passes
};

// Every property of librdkafka 2.0.2 to 2.13, with its aliases; one that is not here has not been
// thought about.
[[nodiscard]] std::span<const PropertyRule> property_rules();

// nullptr: none.
[[nodiscard]] const PropertyRule* rule_of(std::string_view name);

}  // namespace milepost::upstream
