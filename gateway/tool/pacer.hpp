#pragma once

#include "storage/base/time.hpp"

#include <cstdint>
#include <optional>
#include <string_view>

// When the next record of a replay is due. Pure.
namespace milepost::tool {

// `max`; or so many times as fast as it was recorded; or so many records a second.
struct Speed {
    double times = 0;       // 0: not by recorded time
    double per_second = 0;  // 0: not by rate

    [[nodiscard]] bool is_max() const { return times == 0 && per_second == 0; }

    friend bool operator==(const Speed&, const Speed&) = default;
};

// `max`, `1x`, `0.5x`, `10×`, `200/s`.
[[nodiscard]] std::optional<Speed> parse_speed(std::string_view text);

// Every instant is reckoned from the first record's, so that errors do not add up. Never backwards:
// a record with an earlier timestamp than one before it is due at once.
class Pacer {
public:
    // `gap_max`: longer pauses of the record are cut to this.
    Pacer(Speed speed, Instant start, std::optional<Duration> gap_max = std::nullopt)
        : speed_(speed)
        , start_(start)
        , gap_max_(gap_max)
        , last_due_(start) {}

    [[nodiscard]] Instant due(Timestamp timestamp);

private:
    Speed speed_;
    Instant start_;
    std::optional<Duration> gap_max_;
    Instant last_due_;
    std::uint64_t count_ = 0;
    std::optional<Timestamp> base_;  // what was recorded then is due at `start_`
};

}  // namespace milepost::tool
