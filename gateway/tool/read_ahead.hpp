#pragma once

#include "gateway/tool/record_stream.hpp"
#include "storage/base/units.hpp"

#include <cstddef>
#include <memory>

namespace milepost::tool {

// What waits at most between the thread that reads and the one that sends; a larger record alone.
inline constexpr std::size_t read_ahead_bytes_max = mib;

// The same records, positions and errors as those of `stream`, which is one of partitions: read,
// unpacked, merged and copied on a thread of its own, so that who sends them does only that.
[[nodiscard]] std::unique_ptr<RecordStream> read_ahead(std::unique_ptr<RecordStream> stream);

}  // namespace milepost::tool
