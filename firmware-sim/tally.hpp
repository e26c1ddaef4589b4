#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

namespace milepost::fleet {

// Durations in microseconds, counted in buckets no wider than 1/16 of their value: percentiles of a
// run of any length in constant memory.
class LatencyHistogram {
public:
    void record(std::uint64_t microseconds);

    // The upper end of the bucket that holds that share (0 to 1) of what was recorded; 0 if
    // nothing.
    [[nodiscard]] std::uint64_t percentile(double share) const;

    [[nodiscard]] std::uint64_t count() const { return count_; }

private:
    static constexpr std::size_t sub_buckets = 32;
    static constexpr std::size_t octaves = 36;  // up to 2^40 us, twelve days

    std::array<std::uint64_t, sub_buckets*(octaves + 1)> buckets_{};
    std::uint64_t count_ = 0;
};

// What a run comes to.
struct Tally {
    std::uint64_t vehicles = 0;
    double seconds = 0;
    std::uint64_t sampled = 0;
    std::uint64_t published = 0;  // readings; a second time does not count
    std::uint64_t acknowledged = 0;
    std::uint64_t dropped_buffer_full = 0;
    std::uint64_t dropped_refused = 0;
    std::uint64_t dropped_reboot = 0;   // was in memory only
    std::uint64_t dropped_spoiled = 0;  // by bad firmware
    std::uint64_t spoiled_sent = 0;     // payloads of these that were published
    std::uint64_t outstanding = 0;      // neither acknowledged nor dropped at the end
    std::uint64_t connections_lost = 0;
    LatencyHistogram ack_latency;  // from the first publish, across reconnects

    [[nodiscard]] std::uint64_t dropped() const {
        return dropped_buffer_full + dropped_refused + dropped_reboot + dropped_spoiled;
    }

    // Every reading is acknowledged (QoS 0: written) or dropped for a reason.
    [[nodiscard]] bool is_settled() const { return outstanding == 0; }
};

// One line a figure, the name first.
[[nodiscard]] std::string to_text(const Tally& tally);

// One JSON object with the same names, without a line feed.
[[nodiscard]] std::string to_json(const Tally& tally);

}  // namespace milepost::fleet
