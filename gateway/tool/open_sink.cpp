#include "gateway/tool/open_sink.hpp"

namespace milepost::tool {

bool is_file_sink(const ReplayOptions& options) {
    return options.to != "-";
}

std::unique_ptr<ReplaySink> open_sink(
    const ReplayOptions& options,
    const ReplayState& state,
    const std::filesystem::path& /*state_file*/,
    bool is_resumed
) {
    if (options.to == "-") return open_stdout_sink(options.format);
    return open_file_sink(options.to, options.format, is_resumed, state.sink_bytes, state.count);
}

}  // namespace milepost::tool
