#pragma once

#include "storage/base/bytes.hpp"
#include "storage/base/time.hpp"
#include "storage/format/offsets.hpp"
#include "storage/format/record.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

namespace milepost::tool {

// A recorded record on its way to somewhere else. All views; valid until its stream's next call,
// and for as long as somebody has a copy of its owner.
struct ReplayRecord {
    std::string_view topic;
    std::int32_t partition = 0;
    storage::Offset offset{};
    Timestamp timestamp{};
    std::optional<Bytes> key{};  // nullopt: null
    std::optional<Bytes> value{};
    std::span<const storage::HeaderView> headers{};      // with `mp.id`, where it is known
    const std::shared_ptr<const void>* owner = nullptr;  // nullptr: none
};

}  // namespace milepost::tool
