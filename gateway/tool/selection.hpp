#pragma once

#include "gateway/tool/replay_record.hpp"
#include "storage/base/time.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

// Which records replay and export take, as the command line says it. Pure.
namespace milepost::tool {

// Half open; nullopt: no limit on that side.
struct OffsetRange {
    std::optional<std::int64_t> first;
    std::optional<std::int64_t> end;

    friend bool operator==(const OffsetRange&, const OffsetRange&) = default;
};

struct Selection {
    std::vector<std::string> topics;  // none: all
    std::optional<std::int32_t> partition;
    std::vector<std::string> keys;  // vehicles; none: all
    OffsetRange offsets;
    std::optional<Timestamp> since;  // this one and later
    std::optional<Timestamp> until;  // before this one

    [[nodiscard]] bool wants(std::string_view topic, std::int32_t of_partition) const;
    [[nodiscard]] bool wants_key(const std::optional<Bytes>& key) const;
    [[nodiscard]] bool wants_time(Timestamp time) const;
    // Everything, for a source that has no index.
    [[nodiscard]] bool wants(const ReplayRecord& record) const;
    // One line: the same for the same selection. Two of another one differ.
    [[nodiscard]] std::string fingerprint() const;
};

// RFC 3339 (`2026-11-24T12:00:00Z`, `…+01:00`, with a fraction or a space for the T),
// milliseconds since 1970, `now`, or before now: `-90s`, `-30min`, `-2h`, `-1d`.
[[nodiscard]] std::optional<Timestamp> parse_time(std::string_view text, Timestamp now);

// `A..B`, `A..`, `..B`: from A, before B.
[[nodiscard]] std::optional<OffsetRange> parse_offset_range(std::string_view text);

// RFC 3339 in UTC with milliseconds; the number itself outside the years 0 to 9999.
[[nodiscard]] std::string time_text(Timestamp time);

}  // namespace milepost::tool
