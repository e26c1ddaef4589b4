#pragma once

#include <span>
#include <string_view>

// What becomes of each property that librdkafka has. Only for rdkafka_*.cpp and their tests.
namespace milepost::upstream {

struct PropertyRule {
    std::string_view name;
    std::string_view refusal{};  // why it would break a promise; empty: it passes
};

// Every property of librdkafka 2.0.2 to 2.13, with its aliases; one that is not here has not been
// thought about.
[[nodiscard]] std::span<const PropertyRule> property_rules();

// It says how records are read. librdkafka weighs such properties against each other, and against
// the defaults of a consumer, only when one is made: so who reads no records does without them.
[[nodiscard]] bool is_of_reading(std::string_view name);

// nullptr: none.
[[nodiscard]] const PropertyRule* rule_of(std::string_view name);

}  // namespace milepost::upstream
