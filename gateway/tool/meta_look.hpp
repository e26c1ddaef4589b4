#pragma once

#include "storage/base/result.hpp"
#include "storage/log/keeper.hpp"

#include <filesystem>
#include <string>
#include <vector>

namespace milepost::tool {

// What a look at a stopped gateway's meta.db found; nothing is written.
struct MetaLook {
    bool is_there = false;
    bool is_damaged = false;  // it cannot be trusted: milepost repair makes a new one
    std::string note;         // one line: what is wrong, or why it was not read; empty: nothing is
    std::string log_id;       // the newest ring's; empty: none can be read
    // Of that log; without one of the log that was served last.
    std::vector<storage::Gap> gaps;
};

[[nodiscard]] MetaLook look_at_meta(const std::filesystem::path& data_dir);

}  // namespace milepost::tool
