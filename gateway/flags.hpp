#pragma once

#include <filesystem>
#include <optional>

namespace milepost {

struct Flags {
    std::filesystem::path config;
    bool check_config = false;
    bool real_time = false;
};

// The command line of milepostd. Where there is nothing to serve (--help, --version, a mistake) it
// has printed what is to be said, and `exit_status` is set.
[[nodiscard]] std::optional<Flags> parse_flags(int argc, char** argv, int& exit_status);

}  // namespace milepost
