#pragma once

#include "storage/base/time.hpp"

#include <cstdint>
#include <optional>
#include <string_view>
#include <variant>

// `-o` of consume, as kcat has it.
namespace milepost::tool {

struct Beginning {
    friend bool operator==(const Beginning&, const Beginning&) = default;
};

struct End {
    friend bool operator==(const End&, const End&) = default;
};

struct AtOffset {  // N
    std::int64_t offset = 0;

    friend bool operator==(const AtOffset&, const AtOffset&) = default;
};

struct BeforeEnd {  // -N
    std::int64_t count = 0;

    friend bool operator==(const BeforeEnd&, const BeforeEnd&) = default;
};

struct FromTime {  // s@MS
    Timestamp time;

    friend bool operator==(const FromTime&, const FromTime&) = default;
};

struct UntilTime {  // e@MS: the only one that says where to stop
    Timestamp time;

    friend bool operator==(const UntilTime&, const UntilTime&) = default;
};

using OffsetChoice = std::variant<Beginning, End, AtOffset, BeforeEnd, FromTime, UntilTime>;

[[nodiscard]] std::optional<OffsetChoice> parse_offset(std::string_view text);

}  // namespace milepost::tool
