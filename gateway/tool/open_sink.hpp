#pragma once

#include "gateway/tool/replay_options.hpp"
#include "gateway/tool/replay_sink.hpp"
#include "gateway/tool/replay_state.hpp"

#include <filesystem>
#include <memory>

namespace milepost::tool {

[[nodiscard]] bool is_file_sink(const ReplayOptions& options);
[[nodiscard]] bool is_kafka_sink(const ReplayOptions& options);

// `state_file`: beside it a sink may keep what it needs to go on; empty: it is not to go on.
[[nodiscard]] std::unique_ptr<ReplaySink> open_sink(
    const ReplayOptions& options,
    const ReplayState& state,
    const std::filesystem::path& state_file,
    bool is_resumed
);

}  // namespace milepost::tool
