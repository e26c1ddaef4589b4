#pragma once

#include "storage/log/log.hpp"

#include <filesystem>
#include <string_view>

namespace milepost {

// Why nothing is forwarded from a folder that was made on another machine: one line, for the log
// and for the status.
inline constexpr const char* adoption_alarm =
    "not forwarded: the data folder was made on another machine; readings are taken in and kept "
    "until `milepost adopt` has made it this one's";

// What recovery found, line by line: the first is the start's own.
void log_recovery(
    const storage::RecoveryReport& report,
    std::string_view gateway_id,
    const std::filesystem::path& data_dir
);

}  // namespace milepost
