#pragma once

#include "firmware-sim/fleet.hpp"
#include "firmware-sim/link.hpp"
#include "firmware-sim/tls_stream.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <variant>

namespace milepost::fleet {

// Whose MQTT the vehicles speak.
enum class LinkKind : std::uint8_t { paho, direct };

// From here on one process for each vehicle is too many.
inline constexpr std::uint32_t paho_vehicles_max = 200;

struct Options {
    FleetSettings fleet;
    LinkSettings link;
    std::shared_ptr<const TlsContext> tls{};  // nullptr: plain
    LinkKind link_kind = LinkKind::paho;
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

}  // namespace milepost::fleet
