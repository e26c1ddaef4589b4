#pragma once

#include "gateway/tool/record_stream.hpp"
#include "gateway/tool/replay_options.hpp"
#include "gateway/tool/replay_state.hpp"

#include <string>

namespace milepost::tool {

// One line that is the same where a replay may go on: source, selection and sink, not the speed.
[[nodiscard]] std::string plan_of(
    const ReplayOptions& options,
    const std::string& source,
    const std::string& identity
);

// <gateway id>/<log id>, for `mp.id`.
[[nodiscard]] std::string identity_of(const ReplayOptions& options, const Status& status);

// --dry-run: reads everything that is left, counts it and prints it with the time it will take.
int print_plan(const ReplayOptions& options, RecordStream& stream, const ReplayState& state);

// `3 h 12 min`, `45 s`.
[[nodiscard]] std::string span_text(double seconds);

}  // namespace milepost::tool
