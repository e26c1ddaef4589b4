#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace milepost::tool {

struct HostPort {
    std::string host;  // of `[::1]` without the brackets
    std::string port;

    friend bool operator==(const HostPort&, const HostPort&) = default;
};

// `HOST`, `HOST:PORT`, `[V6]:PORT`, and nothing else: no user, no path. nullopt: `problem` says why
// not.
[[nodiscard]] std::optional<HostPort> parse_host_port(
    std::string_view text,
    std::string_view default_port,
    std::string& problem
);

}  // namespace milepost::tool
