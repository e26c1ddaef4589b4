#pragma once

#include <string_view>

// Topic names and filters: MQTT 5.0 and 3.1.1, section 4.7. Case-sensitive, byte by byte
// (MQTT-4.7.3-4).
namespace milepost::mqtt {

// Whether a publish may go there: valid UTF-8, not empty, no U+0000, no wildcard.
[[nodiscard]] bool is_topic_name(std::string_view topic);

// Whether a subscription may ask for it: valid UTF-8, not empty, `#` only as the whole last level,
// `+` only as a whole level.
[[nodiscard]] bool is_topic_filter(std::string_view filter);

// Whether it asks for a shared subscription: `$share/…`, which only 5.0 knows.
[[nodiscard]] bool is_shared(std::string_view filter);

// Whether it asks well: `$share/group/filter` with a group without wildcards (MQTT-4.8.2-1, -2).
[[nodiscard]] bool is_shared_topic_filter(std::string_view filter);

// Whether a valid filter matches a valid topic name. `a/#` also matches `a`; a filter that begins
// with a wildcard matches no topic that begins with `$` (MQTT-4.7.2-1).
[[nodiscard]] bool matches(std::string_view filter, std::string_view topic);

}  // namespace milepost::mqtt
