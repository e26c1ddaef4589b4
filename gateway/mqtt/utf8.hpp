#pragma once

#include <string_view>

namespace milepost::mqtt {

// Whether `text` is what MQTT calls a UTF-8 encoded string (MQTT-1.5.4-1, -2; in 3.1.1 1.5.3-1,
// -2): well-formed, no surrogates, nothing beyond U+10FFFF, no U+0000. Control and non-characters
// pass.
[[nodiscard]] bool is_utf8(std::string_view text);

}  // namespace milepost::mqtt
