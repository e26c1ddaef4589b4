#pragma once

#include "storage/format/offsets.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace milepost::forward {

// What a gateway writes beside each position that it commits to Kafka, so that a position says
// whose it is: `milepost/1 log=<log id> instance=<instance id> offset=<offset>`. The offset stands
// twice on purpose: a tool that moves the position leaves or drops the text. Pure.
struct PositionMark {
    std::string log_id;
    std::string instance_id;  // of the process that committed it
    storage::Offset offset;

    friend bool operator==(const PositionMark&, const PositionMark&) = default;
};

[[nodiscard]] std::string mark_text(const PositionMark& mark);
// nullopt: not written by a gateway.
[[nodiscard]] std::optional<PositionMark> parse_mark(std::string_view text);

}  // namespace milepost::forward
