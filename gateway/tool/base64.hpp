#pragma once

#include "storage/base/bytes.hpp"

#include <optional>
#include <string>
#include <string_view>

// RFC 4648, 4, with padding. Pure.
namespace milepost::tool {

void append_base64(Bytes bytes, std::string& to);
// nullopt: no base64 as we write it.
[[nodiscard]] std::optional<Buffer> decode_base64(std::string_view text);

}  // namespace milepost::tool
