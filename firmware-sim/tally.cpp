#include "firmware-sim/tally.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <string_view>
#include <vector>

namespace milepost::fleet {

namespace {

struct Figure {
    std::string_view name;
    std::string value;
};

std::string in_ms(std::uint64_t microseconds) {
    return fmt::format("{:.2f}", static_cast<double>(microseconds) / 1000);
}

std::vector<Figure> figures_of(const Tally& tally) {
    const auto number = [](std::uint64_t value) {
        return fmt::format("{}", value);
    };
    return {
        {"vehicles", number(tally.vehicles)},
        {"seconds", fmt::format("{:.1f}", tally.seconds)},
        {"sampled", number(tally.sampled)},
        {"published", number(tally.published)},
        {"acknowledged", number(tally.acknowledged)},
        {"dropped", number(tally.dropped())},
        {"dropped_buffer_full", number(tally.dropped_buffer_full)},
        {"dropped_refused", number(tally.dropped_refused)},
        {"dropped_reboot", number(tally.dropped_reboot)},
        {"dropped_spoiled", number(tally.dropped_spoiled)},
        {"spoiled_sent", number(tally.spoiled_sent)},
        {"outstanding", number(tally.outstanding)},
        {"connections_lost", number(tally.connections_lost)},
        {"ack_latency_p50_ms", in_ms(tally.ack_latency.percentile(0.50))},
        {"ack_latency_p99_ms", in_ms(tally.ack_latency.percentile(0.99))},
    };
}

}  // namespace

// Values below 32 have a bucket each; above, each power of two has 16.
void LatencyHistogram::record(std::uint64_t microseconds) {
    const auto octave = std::bit_width(microseconds | 31U) - 5U;
    std::size_t index = microseconds;
    if (octave > 0) index = octave * sub_buckets + (microseconds >> octave);
    ++buckets_[std::min(index, buckets_.size() - 1)];
    ++count_;
}

std::uint64_t LatencyHistogram::percentile(double share) const {
    const auto wanted = static_cast<std::uint64_t>(std::ceil(share * static_cast<double>(count_)));
    std::uint64_t passed = 0;
    for (std::size_t index = 0; index < buckets_.size(); ++index) {
        passed += buckets_[index];
        if (passed < wanted || passed == 0) continue;
        const std::size_t octave = index / sub_buckets;
        const std::uint64_t within = index % sub_buckets;
        return octave == 0 ? within : ((within + 1) << octave) - 1;
    }
    return 0;
}

std::string to_text(const Tally& tally) {
    std::string text;
    for (const Figure& figure : figures_of(tally)) {
        text += fmt::format("{} {}\n", figure.name, figure.value);
    }
    return text;
}

std::string to_json(const Tally& tally) {
    std::string json = "{";
    for (const Figure& figure : figures_of(tally)) {
        json += fmt::format("\"{}\":{},", figure.name, figure.value);
    }
    json.back() = '}';
    return json;
}

}  // namespace milepost::fleet
