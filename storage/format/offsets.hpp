#pragma once

#include "storage/base/strong_int.hpp"

#include <compare>
#include <cstdint>
#include <string>

namespace milepost::storage {

// The number of a record in its partition: from 0, never reused. All positions of a partition are
// "the next offset" (exclusive ends): start <= forwarded <= durable <= appended.
struct OffsetTag;
using Offset = StrongInt<OffsetTag, std::int64_t>;

// A place in a file, in bytes from its beginning.
struct FilePositionTag;
using FilePosition = StrongInt<FilePositionTag, std::uint64_t>;

struct TopicPartition {
    std::string topic;
    std::int32_t partition = 0;

    // NOLINTNEXTLINE(modernize-use-nullptr): see StrongInt
    friend auto operator<=>(const TopicPartition&, const TopicPartition&) = default;
};

}  // namespace milepost::storage
