#pragma once

#include <string_view>

// Records that the upstream refuses for good: by which names they are found again.
namespace milepost::storage {

// A topic's dead letters are in a topic of the same log with this behind its name.
inline constexpr std::string_view dead_letter_suffix = ".dead-letter";
// The loss of the record itself, as the gap ledger and the account say it.
inline constexpr std::string_view poison_reason = "poison";

[[nodiscard]] constexpr bool is_dead_letter_topic(std::string_view topic) {
    return topic.ends_with(dead_letter_suffix);
}

}  // namespace milepost::storage
