#pragma once

#include "gateway/config.hpp"
#include "gateway/listener/endpoint_rules.hpp"

#include <string>
#include <vector>

// The files that say who may come in: passwords, access lists, certificates. Read at the start and
// again on SIGHUP.
namespace milepost {

struct AccessFiles {
    std::vector<listener::EndpointRules> rules;  // one a listener, in their order
    // `file:line: what`, one each. Never with what stands in a file.
    std::vector<std::string> problems;
};

// Reads them all. What cannot be used is named, and `old` (from an earlier call, or empty) stays in
// its place.
[[nodiscard]] AccessFiles read_access_files(
    const MqttConfig& mqtt,
    const std::vector<listener::EndpointRules>& old
);

// The path that the configuration means: `$CREDENTIALS_DIRECTORY/` at the front is the folder that
// systemd gives the service for its secrets.
[[nodiscard]] std::string resolved_path(const std::string& path);

}  // namespace milepost
