#pragma once

#include <boost/system/error_code.hpp>

#include <type_traits>

namespace milepost::storage {

// What the log can answer besides the codes of the rooms below it.
enum class LogErrc {
    record_too_large = 1,  // over LogConfig::record_bytes: it will never fit
    group_full,            // commit, then again
    intake_closed,         // see intake(): not now
    offset_out_of_range,   // below start or over durable
    unknown_partition,     // not an id of this log
    bad_topic,             // a topic name or number of partitions that a folder cannot have
    folder_in_use,         // another process holds the data folder's lock
    not_a_log,             // nothing there that could be opened read only
    read_only,             // opened read only
    bad_config,            // sizes that contradict each other
    foreign_ring,          // a ring of another log lies in the journal's folder
};

[[nodiscard]] const boost::system::error_category& log_category();

[[nodiscard]] inline boost::system::error_code make_error_code(LogErrc code) {
    return {static_cast<int>(code), log_category()};
}

}  // namespace milepost::storage

template <>
struct boost::system::is_error_code_enum<milepost::storage::LogErrc> : std::true_type {};
