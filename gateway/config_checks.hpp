#pragma once

#include "gateway/config.hpp"

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

// What one key cannot tell: keys against each other, and the syntax of routes. Pure.
namespace milepost {

struct Finding {
    std::string path;  // "route[1].topic", "mqtt.max_packet_bytes", "data_dir"
    std::string what;
};

[[nodiscard]] std::vector<Finding> check_config(
    const Config& config,
    const PropertyCheck& check_property
);

// [[bridge]]; a part of check_config.
void check_bridges(const Config& config, std::vector<Finding>& findings);

// The entries of a list's value.
[[nodiscard]] std::vector<std::string> split_list(std::string_view list);

// The largest record the log will take, as far as the configuration tells: min(1,000,000, ring/8).
[[nodiscard]] std::size_t record_bytes_max(const storage::LogConfig& log);

// Whether a listener asks for something that vouches for a connection.
[[nodiscard]] bool asks_who_it_is(const ListenerConfig& listener);
[[nodiscard]] bool is_loopback(std::string_view address);
[[nodiscard]] bool is_ip_address(std::string_view address);

}  // namespace milepost
