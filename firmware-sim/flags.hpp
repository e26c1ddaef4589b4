#pragma once

#include "firmware-sim/fleet.hpp"
#include "firmware-sim/paho_link.hpp"

#include <optional>
#include <string>
#include <variant>

namespace milepost::fleet {

struct Options {
    FleetSettings fleet;
    PahoSettings paho;
    std::string ledger_path;  // empty: none
    bool is_json = false;
    bool is_quiet = false;
};

// The program ends at once, with this status; --help and --version have been printed, or what is
// wrong with the command line.
struct Exit {
    int status;
};

inline constexpr int exit_usage = 64;

// Reads the command line.
[[nodiscard]] std::variant<Options, Exit> parse_flags(int count, const char* const* arguments);

// "500ms", "30s", "5m", "2h"; a bare number is seconds. Nothing for anything else and for more than
// a year.
[[nodiscard]] std::optional<std::chrono::milliseconds> parse_duration(const std::string& text);

}  // namespace milepost::fleet
