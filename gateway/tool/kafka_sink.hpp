#pragma once

#include "gateway/tool/replay_sink.hpp"
#include "gateway/upstream/client_settings.hpp"

#include <cstdint>
#include <memory>
#include <string>

namespace milepost::tool {

struct KafkaSinkOptions {
    std::string brokers;  // HOST:PORT,…
    upstream::Properties properties{};
};

// Records go to the topic and partition that they were in (where the topic has less partitions: by
// their key), in transactions that carry the position: nothing is doubled for read_committed.
// `job` names the replay for ever; `position_topic`: that of its first record, empty if none was
// sent yet. A Failure if no broker answers.
[[nodiscard]] std::unique_ptr<ReplaySink> open_kafka_sink(
    const KafkaSinkOptions& options,
    const std::string& job,
    std::uint64_t count,
    const std::string& position_topic
);

}  // namespace milepost::tool
