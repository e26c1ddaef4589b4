#pragma once

#include "gateway/upstream/client_settings.hpp"
#include "storage/base/bytes.hpp"
#include "storage/base/result.hpp"
#include "storage/base/time.hpp"
#include "storage/format/record.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace milepost::upstream {

// A record as the upstream has it. All views; valid during the call that gives it.
struct ConsumedRecord {
    std::string_view topic;
    std::int32_t partition = 0;
    std::int64_t offset = 0;
    Timestamp timestamp;
    std::optional<Bytes> key;
    std::optional<Bytes> value;
    std::span<const storage::HeaderView> headers;
};

struct ReadSummary {
    std::uint64_t records = 0;
    bool reached_end = false;                 // false: `wait_max` was over first
    std::vector<std::string> missing_topics;  // not there upstream; everything else was read
    std::string problem;                      // the last error on the way; empty: none
};

// Reads topics of the upstream from their beginning, read_committed, without a consumer group:
// it leaves no trace there. Thread: one.
class Consumer {
public:
    using OnRecord = std::function<void(const ConsumedRecord&)>;

    Consumer() = default;
    Consumer(const Consumer&) = delete;
    Consumer& operator=(const Consumer&) = delete;
    virtual ~Consumer() = default;

    // Gives every record up to the end that each partition has at the moment of the call; offsets
    // rise within a partition. Called again it goes on where it was. An error: no broker answered.
    virtual Result<ReadSummary> read_to_end(Duration wait_max, const OnRecord& on_record) = 0;
};

// `problem` says in words which setting librdkafka does not take.
[[nodiscard]] Result<std::unique_ptr<Consumer>> make_rdkafka_consumer(
    const ClientSettings& settings,
    std::vector<std::string> topics,
    std::string& problem
);

}  // namespace milepost::upstream
