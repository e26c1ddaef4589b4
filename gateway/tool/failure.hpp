#pragma once

#include <stdexcept>
#include <string>

namespace milepost::tool {

// sysexits.h, as far as we use it, and what verify and reconcile say.
enum ExitCode : int {
    exit_good = 0,
    exit_run_time = 1,
    exit_nothing_there = 2,  // verify: no data folder, or locked
    exit_cannot_tell = 3,    // reconcile: not yet
    exit_usage = 64,
    exit_unavailable = 69,  // no gateway answers
    exit_disk = 74,
};

// A command cannot go on: printed as one line on stderr, then the exit code.
class Failure : public std::runtime_error {
public:
    Failure(ExitCode code, const std::string& what)
        : std::runtime_error(what)
        , code_(code) {}

    [[nodiscard]] ExitCode code() const { return code_; }

private:
    ExitCode code_;
};

}  // namespace milepost::tool
