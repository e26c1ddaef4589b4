#pragma once

#include "storage/base/bytes.hpp"

#include <cstdint>
#include <string_view>

namespace milepost::listener {

// 64 bits that tell one publish from another with the same packet id. Kept on the disk
// (storage/FORMAT.md, "Session states"), so the same on every machine and for ever. Not meant to
// withstand a device that wants two of its own readings taken for one.
[[nodiscard]] std::uint64_t content_hash(std::string_view topic, Bytes payload);

}  // namespace milepost::listener
