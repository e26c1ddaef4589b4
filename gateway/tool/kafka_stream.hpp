#pragma once

#include "gateway/tool/record_stream.hpp"
#include "gateway/tool/selection.hpp"
#include "gateway/upstream/client_settings.hpp"
#include "gateway/upstream/topic_reader.hpp"

#include <memory>
#include <string>
#include <vector>

namespace milepost::tool {

// A Failure if librdkafka does not take the settings.
[[nodiscard]] std::unique_ptr<upstream::TopicReader> open_kafka(
    const std::string& brokers,
    const upstream::Properties& properties
);

// The selected partitions of the selection's topics, of which there is one at least, up to what is
// committed at the beginning. `reader` and `selection` outlive the stream. A Failure if no broker
// answers, a topic is missing, or what is to be read is not kept any more.
[[nodiscard]] std::unique_ptr<RecordStream> open_kafka_stream(
    upstream::TopicReader& reader,
    const Selection& selection,
    const std::vector<StreamPosition>& resume
);

}  // namespace milepost::tool
