#pragma once

#include "storage/base/result.hpp"

#include <cstdint>
#include <string_view>

namespace milepost::upstream {

// What an error of the upstream asks of the forwarder. Numbers index counters: add at the end.
enum class Fault : std::uint8_t {
    none,
    queue_full,   // the producer's own queue: go on when records were confirmed
    transient,    // connections, leaders, time-outs: librdkafka goes on by itself
    topic,        // the topic is missing or forbidden: the others go on
    record,       // this record is refused (too large, invalid)
    credentials,  // the log-in is refused; librdkafka goes on trying
    fatal,        // the producer is finished; a new one goes on from the last confirmed position
    setup,        // the settings are not accepted
};

inline constexpr std::size_t fault_count = 8;

[[nodiscard]] std::string_view fault_name(Fault fault);

// Codes of librdkafka and of Kafka's protocol; messages are librdkafka's.
[[nodiscard]] const boost::system::error_category& upstream_category();
[[nodiscard]] ErrorCode upstream_error(int code);
[[nodiscard]] Fault fault_of(const ErrorCode& error);
// The topic does not exist upstream (as opposed to: may not be used).
[[nodiscard]] bool is_topic_missing(const ErrorCode& error);
// It took longer than the caller would wait; nobody refused it.
[[nodiscard]] bool is_time_out(const ErrorCode& error);
// The broker does not take the record's timestamp.
[[nodiscard]] bool is_timestamp_refused(const ErrorCode& error);
// Of Fault::record, where nothing more is known.
[[nodiscard]] ErrorCode record_refused();

}  // namespace milepost::upstream
