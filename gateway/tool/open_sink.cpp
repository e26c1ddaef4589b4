#include "gateway/tool/open_sink.hpp"

#include "gateway/tool/kafka_sink.hpp"
#include "gateway/tool/mqtt_sink.hpp"

#include <string_view>

namespace milepost::tool {

namespace {

constexpr std::string_view kafka_scheme = "kafka://";

}  // namespace

bool is_file_sink(const ReplayOptions& options) {
    return options.to != "-" && !is_kafka_sink(options) && !is_mqtt_url(options.to);
}

bool is_kafka_sink(const ReplayOptions& options) {
    return options.to.starts_with(kafka_scheme);
}

std::unique_ptr<ReplaySink> open_sink(
    const ReplayOptions& options,
    const ReplayState& state,
    const std::filesystem::path& state_file,
    bool is_resumed
) {
    if (options.to == "-") return open_stdout_sink(options.format);
    if (is_kafka_sink(options)) {
        const KafkaSinkOptions kafka{
            .brokers = options.to.substr(kafka_scheme.size()),
            .properties = options.properties};
        return open_kafka_sink(kafka, state.job, state.count, state.first_topic);
    }
    if (is_mqtt_url(options.to)) {
        auto journal = state_file;
        if (!journal.empty()) journal += ".publishes";
        return open_mqtt_sink(
            options.to,
            options.mqtt,
            journal,
            state.job,
            is_resumed,
            state.count
        );
    }
    return open_file_sink(options.to, options.format, is_resumed, state.sink_bytes, state.count);
}

}  // namespace milepost::tool
